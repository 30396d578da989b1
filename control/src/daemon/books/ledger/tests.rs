use super::*;

/// 2026-11-30 23:00:00 UTC; an hour later it is December.
const EVENING: u64 = 1_796_079_600;
const DECEMBER: u64 = EVENING + 3600;

#[test]
fn octets_and_hours_are_summed_by_cloud_and_valued_at_its_price() {
    let mut ledger = Ledger::new(EVENING);
    let all = [(Cloud::Aws, "a"), (Cloud::Aws, "b"), (Cloud::Gcp, "c")];
    ledger.look(EVENING, all.into_iter());
    ledger.carried(Cloud::Aws, "a", carried(1 << 30, 5));
    ledger.carried(Cloud::Aws, "b", carried(1 << 30, 7));
    ledger.carried(Cloud::Gcp, "c", carried(11, 13));
    ledger.look(EVENING + 1800, all.into_iter());
    let status = ledger.status(&Prices::default(), None);
    assert_eq!(status.last_month, None);
    let [aws, gcp] = status.this_month.clouds.as_slice() else { panic!("{status:?}") };
    assert_eq!(
        (aws.cloud.as_str(), aws.in_bytes, aws.out_bytes, aws.connection_s),
        ("aws", 2 << 30, 12, 3600)
    );
    assert!((aws.cost - 0.23).abs() < 1e-9, "two gigabytes of 0.09, an hour of 0.05: {}", aws.cost);
    assert_eq!((gcp.cloud.as_str(), gcp.in_bytes, gcp.out_bytes, gcp.connection_s), ("gcp", 11, 13, 1800));

    let one = ledger.status(&Prices::default(), Some("b")).this_month;
    let [aws] = one.clouds.as_slice() else { panic!("{one:?}") };
    assert_eq!((aws.in_bytes, aws.out_bytes, aws.connection_s), (1 << 30, 7, 1800));
    assert_eq!(ledger.status(&Prices::default(), Some("d")).this_month.clouds, []);
}

#[test]
fn a_new_month_starts_anew_and_keeps_the_one_before() {
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "stays"), (Cloud::Azure, "goes")].into_iter());
    ledger.carried(Cloud::Aws, "stays", carried(100, 0));
    ledger.look(DECEMBER - 10, [(Cloud::Aws, "stays")].into_iter());
    ledger.look(DECEMBER + 20, [(Cloud::Aws, "stays"), (Cloud::Aws, "comes")].into_iter());
    ledger.carried(Cloud::Aws, "stays", carried(1, 2));
    ledger.look(DECEMBER + 30, [(Cloud::Aws, "stays"), (Cloud::Aws, "comes")].into_iter());

    let seconds = |ledger: &Ledger, name| {
        let status = ledger.status(&Prices::default(), Some(name));
        let of = |month: &MonthTraffic| month.clouds.first().map(|cloud| cloud.connection_s);
        (of(&status.this_month), status.last_month.as_ref().and_then(of))
    };
    assert_eq!(
        seconds(&ledger, "stays"),
        (Some(30), Some(3600)),
        "to the end of the month and from its beginning"
    );
    assert_eq!(seconds(&ledger, "comes"), (Some(10), None));
    assert_eq!(seconds(&ledger, "goes"), (None, Some(0)));
    let status = ledger.status(&Prices::default(), Some("stays"));
    assert_eq!(in_out(&status.this_month), ("2026-12", 1, 2));
    assert_eq!(in_out(&status.last_month.unwrap_or_default()), ("2026-11", 100, 0));
}

#[test]
fn a_daemon_that_was_away_over_the_end_of_a_month_goes_on_where_it_was() {
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "a")].into_iter());
    let mut soon = reopened(&ledger);
    soon.look(DECEMBER + 3600, [(Cloud::Aws, "a")].into_iter());
    assert_eq!(soon.status(&Prices::default(), None).this_month.clouds[0].connection_s, 3600);
    let mut late = reopened(&ledger);
    late.look(EVENING + AWAY + 1, [(Cloud::Aws, "a")].into_iter());
    assert_eq!(late.status(&Prices::default(), None).this_month.clouds[0].connection_s, 0);
}

#[test]
fn a_restart_goes_on_where_the_file_ends() {
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "a")].into_iter());
    ledger.carried(Cloud::Aws, "a", carried(10, 20));
    let mut next = reopened(&ledger);
    assert_eq!(next, ledger);
    next.look(EVENING + 60, [(Cloud::Aws, "a")].into_iter());
    next.carried(Cloud::Aws, "a", carried(1, 2));
    let status = next.status(&Prices::default(), None);
    assert_eq!(in_out(&status.this_month), ("2026-11", 11, 22));
    assert_eq!(status.this_month.clouds[0].connection_s, 60, "the cloud bills while nobody looks");
}

#[test]
fn a_clock_that_is_wrong_costs_no_month_and_counts_no_hours() {
    // Not set yet: the books of the month go on.
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "a")].into_iter());
    ledger.carried(Cloud::Aws, "a", carried(10, 0));
    ledger.look(5, [(Cloud::Aws, "a"), (Cloud::Aws, "b")].into_iter());
    ledger.carried(Cloud::Aws, "b", carried(1, 0));
    ledger.look(EVENING + 60, [(Cloud::Aws, "a"), (Cloud::Aws, "b")].into_iter());
    let status = ledger.status(&Prices::default(), None);
    assert_eq!((in_out(&status.this_month), status.last_month), (("2026-11", 11, 0), None));
    assert_eq!(ledger.status(&Prices::default(), None).this_month.clouds[0].connection_s, 60);

    // Ahead, and set right.
    ledger.look(DECEMBER, [(Cloud::Aws, "a")].into_iter());
    ledger.look(EVENING + 120, [(Cloud::Aws, "a")].into_iter());
    assert_eq!(in_out(&ledger.status(&Prices::default(), None).this_month), ("2026-11", 11, 0));

    // Empty books that were begun without a clock.
    let mut ledger = Ledger::new(5);
    ledger.look(5, [(Cloud::Aws, "a")].into_iter());
    ledger.carried(Cloud::Aws, "a", carried(3, 0));
    ledger.look(EVENING, [(Cloud::Aws, "a")].into_iter());
    ledger.look(EVENING + 7, [(Cloud::Aws, "a")].into_iter());
    let status = ledger.status(&Prices::default(), None);
    assert_eq!((in_out(&status.this_month), status.last_month), (("2026-11", 3, 0), None));
    assert_eq!(ledger.status(&Prices::default(), None).this_month.clouds[0].connection_s, 7);
}

#[test]
fn what_finds_no_room_is_summed_and_the_file_stays_small() {
    let names: Vec<String> = (0..MAX_CONNECTIONS + 10).map(|n| format!("{n:032}")).collect();
    let mut ledger = Ledger::new(EVENING);
    for at in [EVENING, DECEMBER] {
        ledger.look(at, names.iter().map(|name| (Cloud::Generic, name.as_str())));
        for name in &names {
            ledger.carried(Cloud::Generic, name, carried(1 << 50, 1 << 50));
        }
    }
    let cloud = ledger.status(&Prices::default(), None).this_month.clouds.remove(0);
    assert_eq!(cloud.in_bytes, (names.len() as u64) << 50);
    let octets = ledger.to_json().len() as u64;
    assert!(octets < crate::state_file::MAX_FILE, "{octets}");
    assert_eq!(reopened(&ledger), ledger);
}

#[test]
fn what_is_no_book_is_refused() {
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "a")].into_iter());
    let good = String::from_utf8(ledger.to_json()).unwrap();
    assert!(Ledger::from_json(&good).is_some());
    for torn in 0..good.len() {
        assert_eq!(Ledger::from_json(&good[..torn]), None, "{torn}");
    }
    for (part, other) in [
        ("\"schema_version\":1", "\"schema_version\":2"),
        ("2026-11", "2026-13"),
        ("\"in_bytes\":0", "\"in_bytes\":-1"),
        ("\"in_bytes\":0", "\"in_bytes\":18446744073709551616"),
    ] {
        assert!(good.contains(part), "{part} in {good}");
        assert_eq!(Ledger::from_json(&good.replace(part, other)), None, "{other}");
    }
}

#[test]
fn nonsense_in_a_file_overflows_nothing() {
    let mut ledger = Ledger::new(EVENING);
    ledger.look(EVENING, [(Cloud::Aws, "a"), (Cloud::Aws, "b")].into_iter());
    for entry in ledger.this.clouds.values_mut().flat_map(BTreeMap::values_mut) {
        *entry = Entry { in_bytes: u64::MAX, out_bytes: u64::MAX, from_s: 0, to_s: u64::MAX };
    }
    ledger.this.looked_s = u64::MAX;
    let mut ledger = reopened(&ledger);
    ledger.carried(Cloud::Aws, "a", carried(1, 1));
    ledger.look(DECEMBER, [(Cloud::Aws, "a")].into_iter());
    let status = ledger.status(&Prices::default(), None);
    assert_eq!(status.last_month.map(|month| month.clouds[0].in_bytes), Some(u64::MAX));
}

fn reopened(ledger: &Ledger) -> Ledger {
    Ledger::from_json(core::str::from_utf8(&ledger.to_json()).unwrap()).unwrap()
}

fn carried(received: u64, sent: u64) -> Carried {
    Carried { received, sent }
}

fn in_out(month: &MonthTraffic) -> (&str, u64, u64) {
    let sum = |of: fn(&CloudTraffic) -> u64| month.clouds.iter().map(of).sum();
    (&month.month, sum(|cloud| cloud.in_bytes), sum(|cloud| cloud.out_bytes))
}
