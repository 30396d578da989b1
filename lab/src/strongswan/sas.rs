//! What charon says of its SAs.

/// What `swanctl --list-sas --raw` says.
#[derive(Clone, Debug)]
pub struct Sas(String);

impl Sas {
    pub(super) const fn new(raw: String) -> Self {
        Self(raw)
    }

    /// IKE SAs that are established.
    pub fn established(&self) -> usize {
        self.values("state").filter(|state| *state == "ESTABLISHED").count()
    }

    /// Child SAs that are installed.
    pub fn installed(&self) -> usize {
        self.values("state").filter(|state| *state == "INSTALLED").count()
    }

    /// The IKE SAs, whatever their state.
    pub fn ike(&self) -> Vec<IkeSa> {
        let mut all: Vec<IkeSa> = Vec::new();
        let mut state = "";
        for (key, value) in self.pairs() {
            match (key, all.last_mut()) {
                ("state", _) => state = value,
                // The SPIs follow the state of the IKE SA itself, before its children.
                ("initiator-spi", _) => {
                    let (state, spi_i) = (state.to_owned(), value.to_owned());
                    all.push(IkeSa { state, spi_i, spi_r: String::new() });
                }
                ("responder-spi", Some(sa)) => value.clone_into(&mut sa.spi_r),
                _ => {}
            }
        }
        all
    }

    /// The child SAs of all IKE SAs, whatever their state.
    pub fn children(&self) -> Vec<ChildSa> {
        let mut all: Vec<ChildSa> = Vec::new();
        let (mut id, mut state) = ("", "");
        for (key, value) in self.pairs() {
            match (key, all.last_mut()) {
                ("uniqueid", _) => id = value,
                ("state", _) => state = value,
                ("spi-in", _) => {
                    let [id, state, spi_in] = [id, state, value].map(str::to_owned);
                    all.push(ChildSa { id, state, spi_in, spi_out: String::new() });
                }
                ("spi-out", Some(sa)) => value.clone_into(&mut sa.spi_out),
                _ => {}
            }
        }
        all
    }

    /// True if there is none, in whatever state.
    pub fn is_empty(&self) -> bool {
        self.values("state").next().is_none()
    }

    /// The values of a key, in the order of the SAs.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs().filter_map(move |(name, value)| (name == key).then_some(value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split([' ', '\n', '{', '}']).filter_map(|word| word.split_once('='))
    }

    /// The first value of a key as a number; 0 where there is none.
    pub fn number(&self, key: &str) -> u64 {
        self.values(key).next().and_then(|value| value.parse().ok()).unwrap_or_default()
    }
}

/// One IKE SA of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IkeSa {
    /// `ESTABLISHED`, `REKEYED`, …
    pub state: String,
    /// Initiator's SPI in hexadecimal.
    pub spi_i: String,
    /// Responder's SPI in hexadecimal.
    pub spi_r: String,
}

/// One child SA of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildSa {
    /// The number by which charon calls it.
    pub id: String,
    /// `INSTALLED`, `REKEYED`, `DELETED`, …
    pub state: String,
    /// Its own SPI in hexadecimal.
    pub spi_in: String,
    /// Its peer's SPI in hexadecimal; empty where that half is removed.
    pub spi_out: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rekey_under_way_shows_two_of_a_kind_each_with_its_state() {
        let sas = Sas::new(
            "list-sa event {pair {uniqueid=1 version=2 state=ESTABLISHED local-host=203.0.113.11 initiator-spi=0a \
             responder-spi=0b child-sas {pair-c-1 {name=pair-c uniqueid=5 state=DELETED spi-in=c1} pair-c-2 {name=pair-c \
             uniqueid=6 state=INSTALLED spi-in=c2 spi-out=d2 packets-in=7}}}}\n\
             list-sa event {pair {uniqueid=2 state=REKEYED initiator-spi=1a responder-spi=1b child-sas {}}}"
                .to_owned(),
        );
        let ike = |state: &str, spi_i: &str, spi_r: &str| IkeSa {
            state: state.to_owned(),
            spi_i: spi_i.to_owned(),
            spi_r: spi_r.to_owned(),
        };
        assert_eq!(sas.ike(), [ike("ESTABLISHED", "0a", "0b"), ike("REKEYED", "1a", "1b")]);
        let children = sas.children();
        let child = |id: &str, state: &str, spi_in: &str, spi_out: &str| {
            let [id, state, spi_in, spi_out] = [id, state, spi_in, spi_out].map(str::to_owned);
            ChildSa { id, state, spi_in, spi_out }
        };
        assert_eq!(children, [child("5", "DELETED", "c1", ""), child("6", "INSTALLED", "c2", "d2")]);
        assert_eq!((sas.established(), sas.installed(), sas.number("packets-in")), (1, 1, 7));
    }
}
