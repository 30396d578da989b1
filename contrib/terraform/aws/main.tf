# One VPN connection with both tunnels set to what `gotthard import aws` offers without a word: of several algorithms that
# both sides allow AWS takes the lowest, so that each list has one.

locals {
  tunnel = {
    ike_versions = ["ikev2"]
    encryption   = ["AES256-GCM-16"]
    integrity    = ["SHA2-256"]
    dh_groups    = [19]

    phase1_lifetime_seconds = 28800
    phase2_lifetime_seconds = 3600

    # The gateway initiates, also from behind a NAT and after AWS has replaced an endpoint.
    startup_action = "add"

    # A gateway that is gone is forgotten as early as AWS does so; when it is back it makes new SAs.
    dpd_timeout_action  = "clear"
    dpd_timeout_seconds = 30

    # `peer_replay_window` of the gateway, whose default it is.
    replay_window_size = 1024

    log_output_format = "json"
  }
}

resource "aws_customer_gateway" "gotthard" {
  ip_address = var.gateway_address
  bgp_asn    = var.gateway_asn
  type       = "ipsec.1"

  tags = {
    Name = var.name
  }
}

resource "aws_vpn_gateway" "gotthard" {
  count = var.vpc_id == null ? 0 : 1

  vpc_id          = var.vpc_id
  amazon_side_asn = var.amazon_side_asn

  tags = {
    Name = var.name
  }
}

resource "aws_vpn_gateway_route_propagation" "gotthard" {
  for_each = var.vpc_id == null ? toset([]) : var.route_table_ids

  vpn_gateway_id = aws_vpn_gateway.gotthard[0].id
  route_table_id = each.value
}

resource "aws_cloudwatch_log_group" "tunnels" {
  name              = "/vpn/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_vpn_connection" "gotthard" {
  type                = aws_customer_gateway.gotthard.type
  customer_gateway_id = aws_customer_gateway.gotthard.id
  vpn_gateway_id      = one(aws_vpn_gateway.gotthard[*].id)
  transit_gateway_id  = var.transit_gateway_id
  static_routes_only  = false

  tunnel1_ike_versions                 = local.tunnel.ike_versions
  tunnel1_phase1_encryption_algorithms = local.tunnel.encryption
  tunnel1_phase1_integrity_algorithms  = local.tunnel.integrity
  tunnel1_phase1_dh_group_numbers      = local.tunnel.dh_groups
  tunnel1_phase1_lifetime_seconds      = local.tunnel.phase1_lifetime_seconds
  tunnel1_phase2_encryption_algorithms = local.tunnel.encryption
  tunnel1_phase2_integrity_algorithms  = local.tunnel.integrity
  tunnel1_phase2_dh_group_numbers      = local.tunnel.dh_groups
  tunnel1_phase2_lifetime_seconds      = local.tunnel.phase2_lifetime_seconds
  tunnel1_startup_action               = local.tunnel.startup_action
  tunnel1_dpd_timeout_action           = local.tunnel.dpd_timeout_action
  tunnel1_dpd_timeout_seconds          = local.tunnel.dpd_timeout_seconds
  tunnel1_replay_window_size           = local.tunnel.replay_window_size

  tunnel1_log_options {
    cloudwatch_log_options {
      log_enabled       = true
      log_group_arn     = aws_cloudwatch_log_group.tunnels.arn
      log_output_format = local.tunnel.log_output_format
    }
  }

  tunnel2_ike_versions                 = local.tunnel.ike_versions
  tunnel2_phase1_encryption_algorithms = local.tunnel.encryption
  tunnel2_phase1_integrity_algorithms  = local.tunnel.integrity
  tunnel2_phase1_dh_group_numbers      = local.tunnel.dh_groups
  tunnel2_phase1_lifetime_seconds      = local.tunnel.phase1_lifetime_seconds
  tunnel2_phase2_encryption_algorithms = local.tunnel.encryption
  tunnel2_phase2_integrity_algorithms  = local.tunnel.integrity
  tunnel2_phase2_dh_group_numbers      = local.tunnel.dh_groups
  tunnel2_phase2_lifetime_seconds      = local.tunnel.phase2_lifetime_seconds
  tunnel2_startup_action               = local.tunnel.startup_action
  tunnel2_dpd_timeout_action           = local.tunnel.dpd_timeout_action
  tunnel2_dpd_timeout_seconds          = local.tunnel.dpd_timeout_seconds
  tunnel2_replay_window_size           = local.tunnel.replay_window_size

  tunnel2_log_options {
    cloudwatch_log_options {
      log_enabled       = true
      log_group_arn     = aws_cloudwatch_log_group.tunnels.arn
      log_output_format = local.tunnel.log_output_format
    }
  }

  tags = {
    Name = var.name
  }

  lifecycle {
    precondition {
      condition     = (var.vpc_id == null) != (var.transit_gateway_id == null)
      error_message = "Set one of vpc_id (a virtual private gateway is made for it) and transit_gateway_id."
    }
  }
}
