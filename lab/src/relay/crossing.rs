//! Whether requests of the two ends cross, read off the clear headers of the IKE messages that a relay takes
//! (RFC 7296 §3.1). What they ask for is sealed: any CREATE_CHILD_SA counts.

/// The CREATE_CHILD_SA requests that have no response yet, by the side that they come from.
#[derive(Debug, Default)]
pub(super) struct Crossings([Option<Id>; 2]);

/// What a packet is in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A request, and none of the other side waits for its response.
    First,
    /// A request that crosses one of the other side.
    Crossing,
    /// Something else; also a retransmission and a further fragment.
    Other,
}

/// What a request and its response have in common: the initiator's SPI and the message id.
type Id = (u64, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Request(Id),
    Response(Id),
}

impl Crossings {
    /// Sees a packet that one side sent.
    pub(super) fn see(&mut self, side: usize, packet: &[u8]) -> Seen {
        let (asked, other) = match &mut self.0 {
            [left, right] if side == 0 => (left, right),
            [left, right] => (right, left),
        };
        match create_child_sa(packet) {
            Some(Message::Request(id)) if asked.replace(id) != Some(id) => {
                if other.is_some() {
                    Seen::Crossing
                } else {
                    Seen::First
                }
            }
            Some(Message::Response(id)) => {
                other.take_if(|request| *request == id);
                Seen::Other
            }
            Some(Message::Request(_)) | None => Seen::Other,
        }
    }
}

/// The CREATE_CHILD_SA message in an IPv4 packet, in UDP with the non-ESP marker (RFC 3948 §2.2).
fn create_child_sa(packet: &[u8]) -> Option<Message> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let offset = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?) & FRAGMENT_OFFSET;
    let message = packet.get(header + UDP..)?.strip_prefix(&NON_ESP_MARKER)?;
    let &[exchange, flags] = message.get(18..)?.first_chunk()?;
    if *packet.get(9)? != IPPROTO_UDP || offset != 0 || exchange != CREATE_CHILD_SA {
        return None;
    }
    let spi_i = u64::from_be_bytes(*message.first_chunk()?);
    let id = (spi_i, u32::from_be_bytes(*message.get(20..)?.first_chunk()?));
    Some(if flags & RESPONSE == 0 { Message::Request(id) } else { Message::Response(id) })
}

const FRAGMENT_OFFSET: u16 = 0x1fff;
const IPPROTO_UDP: u8 = 17;
const UDP: usize = 8;
const NON_ESP_MARKER: [u8; 4] = [0; 4];
const CREATE_CHILD_SA: u8 = 36;
const RESPONSE: u8 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(exchange: u8, flags: u8, id: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0];
        packet.extend([0; 8 + UDP]);
        packet.extend(NON_ESP_MARKER);
        packet.extend([7; 16]);
        packet.extend([46, 0x20, exchange, flags, 0, 0, 0, id, 0, 0, 0, 28]);
        packet
    }

    #[test]
    fn requests_cross_where_one_comes_before_the_response_to_the_other() {
        let [request, again, response] =
            [(0, 1), (0, 2), (RESPONSE, 1)].map(|(flags, id)| packet(CREATE_CHILD_SA, flags, id));
        let mut seen = Crossings::default();
        assert_eq!(seen.see(0, &request), Seen::First);
        assert_eq!(seen.see(1, &request), Seen::Crossing, "the other end's, before the response");
        assert_eq!(seen.see(1, &request), Seen::Other, "a retransmission");
        assert_eq!([seen.see(1, &response), seen.see(0, &response)], [Seen::Other; 2]);
        assert_eq!(seen.see(0, &again), Seen::First, "nothing is unanswered any more");
    }

    #[test]
    fn what_is_no_create_child_sa_crosses_nothing() {
        let mut seen = Crossings::default();
        assert_eq!(seen.see(0, &packet(CREATE_CHILD_SA, 0, 1)), Seen::First);
        let informational = packet(37, 0, 1);
        let mut esp = packet(CREATE_CHILD_SA, 0, 1);
        esp[20 + UDP] = 0xc0;
        let mut fragment = packet(CREATE_CHILD_SA, 0, 1);
        fragment[7] = 1;
        for other in [informational, esp, fragment, vec![0x45; 20], Vec::new()] {
            assert_eq!(seen.see(1, &other), Seen::Other, "{other:x?}");
        }
    }
}
