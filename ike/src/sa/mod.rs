//! Security associations: what one is, what it may negotiate, and the windows of its messages.
