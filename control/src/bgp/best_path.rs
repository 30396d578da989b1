//! Which tunnels carry the packets to one prefix: RFC 4271 §9.1.2.2 among the paths of all tunnels, as the clouds expect it.
//!
//! Where it differs from the RFC: whether the tunnel lives comes before all attributes; MED is compared between the tunnels
//! of one connection whatever AS they name, and never between connections, so that AWS's maintenance (it lowers MED on the
//! tunnel that is to be used) works and the order of paths has no say (RFC 3345); paths that are equal to the end share the
//! traffic, but only those of one connection: two clouds with the same prefix are two networks, not one.

use core::fmt;

use super::route::Path;
use crate::failover::decision::{Spread, Standing};

/// A path to the prefix, through one tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'r, K> {
    /// The tunnel.
    pub tunnel: K,
    /// What is known of the tunnel.
    pub through: Through,
    /// What the import policy gave the path.
    pub local_pref: u32,
    /// The path.
    pub path: &'r Path,
}

/// What is known of a tunnel, whatever the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Through {
    /// The place of its connection in the configuration.
    pub connection: usize,
    /// How many tunnels of the connection carry at once.
    pub spread: Spread,
    /// How far it may be used.
    pub standing: Standing,
    /// It carries what can go through any tunnel of the connection.
    pub carries: bool,
}

/// The tunnels to use, and why not the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<K> {
    /// In the order of the candidates; empty: no candidate is on a tunnel that lives.
    pub used: Vec<K>,
    /// Each other candidate, and the step that it fell at.
    pub lost: Vec<(K, Step)>,
}

/// The steps of the choice, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The tunnel that stands better.
    Standing,
    /// The higher local preference.
    LocalPref,
    /// The shorter AS path.
    AsPath,
    /// The lower origin.
    Origin,
    /// The lower MED, within a connection.
    Med,
    /// The connection that the configuration names first.
    Connection,
    /// One of equal paths, where one is to carry.
    Spread,
}

/// Chooses among the paths to one prefix. `before`: the tunnels in use. Where one is to carry, it is of equals the one that
/// carries for the connection, or else the one in use.
pub fn choose<K: Copy + PartialEq>(candidates: &[Candidate<'_, K>], before: &[K]) -> Choice<K> {
    let mut lost = Vec::new();
    let (mut left, dead): (Vec<_>, Vec<_>) =
        candidates.iter().copied().partition(|candidate| candidate.through.standing > Standing::Dead);
    lost.extend(dead.iter().map(|candidate| (candidate.tunnel, Step::Standing)));
    for step in STEPS {
        let worse = |candidate: &Candidate<'_, K>| left.iter().any(|other| step.prefers(other, candidate));
        let (fell, stays): (Vec<_>, Vec<_>) = left.iter().copied().partition(worse);
        lost.extend(fell.iter().map(|candidate| (candidate.tunnel, step)));
        left = stays;
    }
    let mut used: Vec<K> = left.iter().map(|candidate| candidate.tunnel).collect();
    if left.first().is_some_and(|candidate| candidate.through.spread == Spread::One) {
        let carries = left.iter().find(|candidate| candidate.through.carries);
        let in_use = || left.iter().find(|candidate| before.contains(&candidate.tunnel));
        let stays = carries.or_else(in_use).or(left.first()).map(|candidate| candidate.tunnel);
        let others = used.iter().filter(|tunnel| Some(**tunnel) != stays);
        lost.extend(others.map(|tunnel| (*tunnel, Step::Spread)));
        used = stays.into_iter().collect();
    }
    Choice { used, lost }
}

impl Step {
    /// Whether `one` takes the packets from `other` at this step.
    fn prefers<K>(self, one: &Candidate<'_, K>, other: &Candidate<'_, K>) -> bool {
        match self {
            Self::Standing => one.through.standing > other.through.standing,
            Self::LocalPref => one.local_pref > other.local_pref,
            Self::AsPath => one.path.as_path.hops() < other.path.as_path.hops(),
            Self::Origin => one.path.origin < other.path.origin,
            Self::Med => one.through.connection == other.through.connection && med(one) < med(other),
            Self::Connection => one.through.connection < other.through.connection,
            Self::Spread => false,
        }
    }
}

/// As `gotthard routes` says it of a path that is not used: `not used: ` and this.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standing => "another tunnel is in better health",
            Self::LocalPref => "another path has a higher local preference",
            Self::AsPath => "another path has a shorter AS path",
            Self::Origin => "another path has a lower origin",
            Self::Med => "another tunnel of the connection has a lower MED",
            Self::Connection => "the connection that the configuration names first is used",
            Self::Spread => "an equal path is in use",
        })
    }
}

/// RFC 4271 §9.1.2.2 c: a missing MED is the lowest.
fn med<K>(candidate: &Candidate<'_, K>) -> u32 {
    candidate.path.med.unwrap_or(0)
}

const STEPS: [Step; 6] =
    [Step::Standing, Step::LocalPref, Step::AsPath, Step::Origin, Step::Med, Step::Connection];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bgp::route::{AsPath, AsSegment, Origin};

    /// Connection, standing, local preference, AS path, MED.
    type Row = (usize, Standing, u32, &'static [u32], Option<u32>);

    const AWS: &[u32] = &[64512];
    const OLD_AWS: &[u32] = &[7224];
    const PREPENDED: &[u32] = &[64512, 64512];
    const READY: Standing = Standing::Ready;

    fn path(asns: &[u32], med: Option<u32>) -> Path {
        let as_path = AsPath(vec![AsSegment::Sequence(asns.to_vec())]);
        Path { as_path, med, ..Path::local([169, 254, 10, 1].into()) }
    }

    fn chosen(rows: &[Row], spread: Spread, before: &[usize]) -> Choice<usize> {
        let paths: Vec<Path> = rows.iter().map(|row| path(row.3, row.4)).collect();
        let candidate = |(tunnel, (row, path)): (usize, (&Row, _))| {
            let &(connection, standing, local_pref, ..) = row;
            Candidate {
                tunnel,
                through: Through { connection, spread, standing, carries: false },
                local_pref,
                path,
            }
        };
        let candidates: Vec<_> = rows.iter().zip(&paths).enumerate().map(candidate).collect();
        choose(&candidates, before)
    }

    #[test]
    fn each_step_decides_what_those_before_it_left_open() {
        let table: [(&[Row], &[usize], Option<Step>); 12] = [
            (&[(0, READY, 100, AWS, None), (0, READY, 100, AWS, None)], &[0, 1], None),
            (&[(0, Standing::Dead, 100, AWS, None), (0, READY, 100, AWS, None)], &[1], Some(Step::Standing)),
            (&[(0, Standing::Dead, 100, AWS, None)], &[], Some(Step::Standing)),
            (&[(0, Standing::Held, 200, AWS, None), (1, READY, 100, AWS, None)], &[1], Some(Step::Standing)),
            (
                &[(0, Standing::Held, 100, AWS, None), (0, Standing::Draining, 200, AWS, None)],
                &[0],
                Some(Step::Standing),
            ),
            (
                &[(0, READY, 100, AWS, None), (1, READY, 200, &[12076, 65515], None)],
                &[1],
                Some(Step::LocalPref),
            ),
            (
                &[(0, READY, 100, PREPENDED, Some(0)), (0, READY, 100, AWS, Some(100))],
                &[1],
                Some(Step::AsPath),
            ),
            (&[(0, READY, 100, AWS, Some(100)), (0, READY, 100, AWS, Some(50))], &[1], Some(Step::Med)),
            (&[(0, READY, 100, AWS, Some(9)), (0, READY, 100, OLD_AWS, Some(8))], &[1], Some(Step::Med)),
            (&[(0, READY, 100, AWS, Some(1)), (0, READY, 100, AWS, None)], &[1], Some(Step::Med)),
            (&[(1, READY, 100, AWS, Some(0)), (0, READY, 100, AWS, Some(100))], &[1], Some(Step::Connection)),
            (
                &[(1, READY, 100, AWS, None), (0, READY, 100, AWS, None), (0, READY, 100, AWS, None)],
                &[1, 2],
                Some(Step::Connection),
            ),
        ];
        for (rows, used, fell) in table {
            let choice = chosen(rows, Spread::All, &[]);
            assert_eq!(choice.used, used, "{rows:?}");
            assert_eq!(choice.lost.first().map(|(_, step)| *step), fell, "{rows:?}");
        }
    }

    #[test]
    fn the_lower_origin_wins() {
        let (igp, incomplete) = (path(AWS, Some(9)), Path { origin: Origin::Incomplete, ..path(AWS, None) });
        let through = Through { connection: 0, spread: Spread::All, standing: READY, carries: false };
        let candidate = |tunnel, path| Candidate { tunnel, through, local_pref: 100, path };
        let choice = choose(&[candidate(0, &incomplete), candidate(1, &igp)], &[]);
        assert_eq!((choice.used, choice.lost), (vec![1], vec![(0, Step::Origin)]));
    }

    #[test]
    fn where_one_is_to_carry_the_one_in_use_stays() {
        let equal: [Row; 3] = [(0, READY, 100, AWS, None); 3];
        assert_eq!(chosen(&equal, Spread::One, &[]).used, [0]);
        let choice = chosen(&equal, Spread::One, &[2]);
        assert_eq!((choice.used, choice.lost), (vec![2], vec![(0, Step::Spread), (1, Step::Spread)]));
    }

    #[test]
    fn where_one_is_to_carry_equal_paths_follow_the_tunnel_that_carries_for_the_connection() {
        let route = path(AWS, None);
        let through = |carries| Through { connection: 0, spread: Spread::One, standing: READY, carries };
        let candidate =
            |tunnel, path| Candidate { tunnel, through: through(tunnel == 1), local_pref: 100, path };
        assert_eq!(choose(&[candidate(0, &route), candidate(1, &route)], &[0]).used, [1]);
        let nearer = path(AWS, Some(0));
        let farther = path(AWS, Some(100));
        assert_eq!(
            choose(&[candidate(0, &nearer), candidate(1, &farther)], &[]).used,
            [0],
            "MED comes first"
        );
    }

    proptest! {
        /// The first rule of failover, prefix by prefix, whatever the paths say.
        #[test]
        fn no_prefix_is_on_a_dead_tunnel_while_another_that_knows_it_lives(
            rows in prop::collection::vec(any_row(), 0..6),
            one in any::<bool>(),
        ) {
            let spread = if one { Spread::One } else { Spread::All };
            let choice = chosen(&rows, spread, &[0]);
            let best = rows.iter().map(|row| row.1).max().unwrap_or(Standing::Dead);
            prop_assert_eq!(choice.used.is_empty(), best == Standing::Dead);
            prop_assert!(choice.used.iter().all(|tunnel| rows[*tunnel].1 == best));
            prop_assert!(choice.used.windows(2).all(|pair| rows[pair[0]].0 == rows[pair[1]].0), "two connections");
            prop_assert_eq!(choice.used.len() + choice.lost.len(), rows.len());
        }

        #[test]
        fn the_order_of_the_paths_has_no_say(rows in prop::collection::vec(any_row(), 0..6)) {
            let forth = chosen(&rows, Spread::All, &[]);
            let reversed: Vec<Row> = rows.iter().rev().copied().collect();
            let mut back: Vec<usize> =
                chosen(&reversed, Spread::All, &[]).used.iter().map(|tunnel| rows.len() - 1 - tunnel).collect();
            back.sort_unstable();
            prop_assert_eq!(forth.used, back);
        }
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let standing = prop::sample::select(vec![
            Standing::Dead,
            Standing::Suspect,
            Standing::Draining,
            Standing::Held,
            Standing::Ready,
        ]);
        let local_pref = prop::sample::select(vec![100, 200]);
        let as_path = prop::sample::select(vec![AWS, OLD_AWS, PREPENDED]);
        (0_usize..3, standing, local_pref, as_path, prop::option::of(0_u32..3))
    }
}
