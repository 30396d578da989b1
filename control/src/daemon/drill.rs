//! `gotthard drill` at work: [`crate::drill`] fed with what the daemon knows, and its wishes carried out.

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use tracing::{info, warn};

use super::gateway::Gateway;
use super::orders::unknown;
use super::record::Record;
use crate::api::drill::{DrillMove, DrillOrder, DrillReport, DrillState};
use crate::api::messages::{RefusalKind, Response};
use crate::config::model::Routing;
use crate::counted::counted;
use crate::drill::course::{Course, Stage};
use crate::drill::flow::{Flow, Path};
use crate::drill::measure::{Echo, over};
use crate::events::kind;
use crate::failover::decision::State;
use crate::failover::facts::Wish;
use crate::probe::echo::Token;

/// A drill, until its report was fetched or nobody asks after it.
pub(super) struct Drill {
    order: DrillOrder,
    course: Course<PeerId>,
    flow: Option<Flow>,
    /// The tunnel that each path of the flow leads through; empty: the kernel's routes lead it.
    paths: Vec<PeerId>,
    /// When the flow began.
    began: Time,
    /// When somebody last asked after it.
    asked: Time,
    report: Option<DrillReport>,
}

impl Gateway {
    /// Starts a drill, unless that would leave the connection without a tunnel.
    pub(super) fn start_drill(&mut self, order: DrillOrder) -> Response {
        match self.prepare_drill(order) {
            Ok(drill) => {
                info!(
                    connection = drill.order.connection,
                    "drill: the traffic leaves its tunnel and comes back"
                );
                let state = state(&drill);
                self.drill = Some(drill);
                Response::Drill(Box::new(state))
            }
            Err(refused) => refused,
        }
    }

    /// How far the drill is. Asking keeps it going; the report is given once.
    pub(super) fn ask_drill(&mut self) -> Response {
        let now = self.clock.now();
        let Some(drill) = &mut self.drill else { return failed("no drill is under way") };
        drill.asked = now;
        let state = state(drill);
        if state.report.is_some() {
            self.drill = None;
        }
        Response::Drill(Box::new(state))
    }

    /// Ends the drill; its traffic moves back.
    pub(super) fn end_drill(&mut self) -> Response {
        let now = self.clock.now();
        let Some(drill) = &mut self.drill else { return failed("no drill is under way") };
        let carriers = self.switch.carrying(&drill.order.connection).to_vec();
        let wishes = drill.course.fail(now, &carriers, "it was interrupted");
        self.carry_out_wishes(wishes);
        self.ask_drill()
    }

    /// Goes on with the drill. To be called when the routes have settled; true: they have to settle again.
    pub(super) fn drill_turn(&mut self) -> bool {
        let now = self.clock.now();
        let Some(mut drill) = self.drill.take() else { return false };
        let carriers = self.switch.carrying(&drill.order.connection).to_vec();
        let wishes = drill.turn(now, &carriers);
        let settle = !wishes.is_empty();
        self.carry_out_wishes(wishes);
        if drill.is_over() && drill.report.is_none() {
            let report = self.report(&mut drill);
            tell(&report);
            drill.report = Some(report);
        }
        let forgotten = drill.report.is_some() && now.saturating_since(drill.asked) > LEASE;
        self.drill = Some(drill).filter(|_| !forgotten);
        settle
    }

    /// When [`Self::drill_turn`] is due.
    pub(super) fn drill_due(&self) -> Option<Time> {
        let drill = self.drill.as_ref()?;
        let lease = drill.asked + LEASE;
        match (&drill.report, drill.course.next()) {
            (None, Some(next)) if drill.course.failed().is_none() => Some(next.min(lease)),
            (None, Some(next)) => Some(next),
            // The last replies are on their way.
            (None, None) => Some(self.clock.now() + LAST_REPLIES),
            (Some(_), _) => Some(lease),
        }
    }

    fn prepare_drill(&self, order: DrillOrder) -> Result<Drill, Response> {
        if self.drill.as_ref().is_some_and(|drill| drill.report.is_none()) {
            return Err(failed("another drill is under way: one at a time"));
        }
        let name = order.connection.as_str();
        let connection = self.config.connections.iter().find(|connection| connection.name == name);
        let connection = connection.ok_or_else(|| unknown(name))?;
        if connection.routing == Routing::External {
            return Err(failed(format!(
                "{name}: its routes are another daemon's, which moves them by its own commands"
            )));
        }
        let now = self.clock.now();
        let course = Course::new(now, self.switch.carrying(name));
        let course = course.ok_or_else(|| failed(format!("{name}: no tunnel carries its traffic")))?;
        self.relief(name, &course)?;
        let records: Vec<&Record> = self.records.values().filter(|r| r.connection.name == name).collect();
        let (paths, ways) = paths(&order, &records)?;
        let unsent = |error: std::io::Error| failed(format!("{name}: echoes cannot be sent: {error}"));
        let token = Token::random().map_err(unsent)?;
        let flow = Flow::start(&ways, order.rate, token).map_err(unsent)?;
        Ok(Drill { order, course, flow: Some(flow), paths, began: now, asked: now, report: None })
    }

    /// Another tunnel is there for the traffic, and nobody moves it already.
    fn relief(&self, name: &str, course: &Course<PeerId>) -> Result<(), Response> {
        let leaves = course.before().first();
        let others = self.records.values().filter(|r| r.connection.name == name && Some(&r.id) != leaves);
        let states: Vec<(&str, State)> =
            others.map(|record| (record.tunnel.name.as_str(), self.switch.state(record.id))).collect();
        if states.iter().any(|(_, state)| matches!(state, State::Standby | State::Carrying)) {
            return Ok(());
        }
        let why = match states.as_slice() {
            [] => "it has one tunnel".to_owned(),
            [(other, _), ..] => format!("its tunnel {other} is not healthy"),
        };
        Err(failed(format!(
            "{name}: {why}: the drill would leave its traffic without a tunnel; `gotthard status {name}` says more"
        )))
    }

    fn carry_out_wishes(&mut self, wishes: Vec<(PeerId, Wish)>) {
        for (id, wish) in wishes {
            // What the operator took down meanwhile stays down.
            if wish == Wish::Drain || self.records.get(&id).is_some_and(|record| record.wish == Wish::Drain) {
                self.set_wish(id, wish);
            }
        }
    }

    fn report(&self, drill: &mut Drill) -> DrillReport {
        let echoes = drill.flow.take().map(Flow::finish).unwrap_or_default();
        let DrillOrder { connection, target, rate, .. } = drill.order.clone();
        let names = |ids: &[PeerId]| -> Vec<String> {
            ids.iter()
                .filter_map(|id| self.records.get(id))
                .map(|record| record.tunnel.name.clone())
                .collect()
        };
        let mut from = names(drill.course.before());
        let mut moves = Vec::new();
        for step in drill.course.moves() {
            let since = |time: Time| time.saturating_since(drill.began);
            let measured = over(&echoes, &(since(step.asked)..since(step.done) + AFTERMATH));
            let to = names(&step.to);
            moves.push(DrillMove {
                from: core::mem::replace(&mut from, to.clone()),
                to,
                took_ms: millis(step.done.saturating_since(step.asked)),
                gap_ms: millis(measured.gap),
                sent: measured.sent,
                lost: measured.lost,
            });
        }
        let lost: u64 = moves.iter().map(|step| step.lost).sum();
        let failed = drill.course.failed().map(str::to_owned);
        let so_many = counted(lost, "echo was", "echoes were");
        let reason = failed.or_else(|| (lost > 0).then(|| format!("{so_many} lost while the traffic moved")));
        let count =
            |echoes: &[Echo], answered| echoes.iter().filter(|echo| echo.answered == answered).count() as u64;
        DrillReport {
            connection,
            passed: reason.is_none(),
            reason,
            target,
            rate,
            sent: echoes.len() as u64,
            lost: count(&echoes, false),
            moves,
        }
    }
}

impl Drill {
    fn turn(&mut self, now: Time, carriers: &[PeerId]) -> Vec<(PeerId, Wish)> {
        let Some(flow) = &self.flow else { return Vec::new() };
        if now.saturating_since(self.asked) > LEASE && self.course.failed().is_none() {
            return self.course.fail(now, carriers, "whoever asked for it is gone");
        }
        let silent = flow.count().1 == 0;
        if self.course.stage() == Stage::Before && silent && self.course.next().is_some_and(|at| at <= now) {
            return self.course.fail(
                now,
                carriers,
                "nobody answers its echoes: name a host that does, --target ADDRESS",
            );
        }
        let wishes = self.course.poll(now, carriers);
        let carries = |path: &PeerId| carriers.first() == Some(path);
        if let Some(path) = self.paths.iter().position(carries) {
            flow.take_path(path);
        }
        if self.course.stage() == Stage::Over {
            flow.stop();
        }
        wishes
    }

    /// Its course is over, and the last replies are in.
    fn is_over(&self) -> bool {
        self.course.stage() == Stage::Over
            && self.flow.as_ref().is_none_or(|flow| {
                flow.stop();
                flow.is_finished()
            })
    }
}

fn state(drill: &Drill) -> DrillState {
    let stage = match drill.course.stage() {
        Stage::Before => "measuring before the move",
        Stage::Leaving => "moving the traffic away",
        Stage::Away => "measuring on the other tunnel",
        Stage::Returning => "moving the traffic back",
        Stage::Back => "measuring after the return",
        Stage::Over => "over",
    };
    let (sent, answered) = drill.flow.as_ref().map(Flow::count).unwrap_or_default();
    DrillState { stage: stage.to_owned(), sent, answered, report: drill.report.clone() }
}

/// The ways of the echoes: through each tunnel to its peer, or as the kernel routes to the target.
fn paths(order: &DrillOrder, records: &[&Record]) -> Result<(Vec<PeerId>, Vec<Path>), Response> {
    if let Some(target) = order.target {
        return Ok((Vec::new(), vec![Path { device: None, source: order.source, target }]));
    }
    let path = |record: &&Record| -> Option<(PeerId, Path)> {
        let (ours, theirs): (IpAddr, IpAddr) = (record.tunnel.inside?.addr(), record.tunnel.peer_inside?);
        let device = Some(record.tunnel.interface.clone());
        Some((record.id, Path { device, source: Some(ours), target: theirs }))
    };
    let found: Vec<(PeerId, Path)> = records.iter().filter_map(path).collect();
    if found.len() < records.len() {
        return Err(failed(format!(
            "{}: a tunnel has no inside addresses to send echoes to: name a host behind the cloud, --target ADDRESS",
            order.connection
        )));
    }
    Ok(found.into_iter().unzip())
}

fn tell(report: &DrillReport) {
    let DrillReport { connection, sent, lost, moves, reason, .. } = report;
    let gap_ms = moves.iter().map(|step| step.gap_ms).fold(0.0, f64::max);
    match reason {
        None => info!(connection, sent, lost, gap_ms, event = kind::DRILLED, "drill passed"),
        Some(reason) => {
            warn!(connection, sent, lost, gap_ms, reason, event = kind::DRILLED, "drill failed");
        }
    }
}

fn failed(why: impl Into<String>) -> Response {
    Response::refused(RefusalKind::Failed, why)
}

/// To the microsecond: more digits tell of the machine's mood.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A client asks a few times a second: one that does not is gone.
const LEASE: Duration = Duration::from_millis(1500);
/// After a move, what was under way is still part of it.
const AFTERMATH: Duration = Duration::from_millis(900);
const LAST_REPLIES: Duration = Duration::from_millis(50);
