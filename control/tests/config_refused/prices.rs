//! Mistakes in `[gateway.prices]`.

use super::Case;

pub(crate) const CASES: &[Case] = &[
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.awz.egress_per_gb = 0.085",
        "gateway.prices.awz",
        "unknown key",
        "did you mean `aws`?",
    ),
    (
        "web = \"127.0.0.1:8477\"",
        "[connection.x]\n[gateway.\"prices\"]\naws = 3\n[connection.y]",
        "gateway.prices.aws",
        "must be a table",
        "[gateway.prices.aws]",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress_per_gb = \"0.085\"",
        "gateway.prices.aws.egress_per_gb",
        "must be a decimal number, not a string",
        "such as 0.09, without quotes",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress_per_gb = -0.085",
        "gateway.prices.aws.egress_per_gb",
        "\"-0.085\" is no price",
        "0 to 1000000",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress_per_gb = nan",
        "gateway.prices.aws.egress_per_gb",
        "\"nan\" is no price",
        "such as 0.09",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress_per_gb = 8.5e-2",
        "gateway.prices.aws.egress_per_gb",
        "\"8.5e-2\" is no price",
        "such as 0.09",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress_per_gb = 0x9",
        "gateway.prices.aws.egress_per_gb",
        "must be a decimal number",
        "such as 0.09",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "prices.aws.egress = 0.085",
        "gateway.prices.aws.egress",
        "unknown key",
        "egress_per_gb",
    ),
    (
        "prices.aws.egress_per_gb = 0.085",
        "# nothing",
        "gateway.prices.aws.egress_per_gb",
        "is missing",
        "write a price such as 0.09",
    ),
    (
        "prices.aws.connection_hour = 0.05",
        "prices.aws.connection_hour = 0.0000001",
        "gateway.prices.aws.connection_hour",
        "is no price",
        "at most six digits behind the point",
    ),
    (
        "prices.aws.connection_hour = 0.05",
        "prices.aws.connection_hour = 1000001",
        "gateway.prices.aws.connection_hour",
        "\"1000001\" is out of bounds",
        "0 to 1000000",
    ),
    (
        "prices.aws.currency = \"EUR\"",
        "prices.aws.currency = \"€\"",
        "gateway.prices.aws.currency",
        "\"€\" is no currency",
        "three capital letters",
    ),
    (
        "prices.aws.currency = \"EUR\"",
        "prices.aws.currency = 978",
        "gateway.prices.aws.currency",
        "must be a string",
        "three capital letters",
    ),
];
