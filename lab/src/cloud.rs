//! Clouds that speak BGP: each endpoint is strongSwan with a routing daemon beside it, and a VPC is behind them.

pub mod aws;

pub use aws::Aws;
