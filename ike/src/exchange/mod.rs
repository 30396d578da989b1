//! The exchanges of IKEv2 (RFC 7296 §1.2-1.5): what each message must hold, and what follows from it.
