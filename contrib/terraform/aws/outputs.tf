output "customer_gateway_configuration" {
  description = "What `gotthard import aws -` reads: addresses, AS numbers and the pre-shared keys."
  value       = aws_vpn_connection.gotthard.customer_gateway_configuration
  sensitive   = true
}

output "vpn_connection_id" {
  description = "Name of the connection in the gateway's configuration and status."
  value       = aws_vpn_connection.gotthard.id
}

output "endpoints" {
  description = "Outer addresses of AWS's ends: a firewall before the gateway lets UDP 500 and 4500 through to them."
  value       = [aws_vpn_connection.gotthard.tunnel1_address, aws_vpn_connection.gotthard.tunnel2_address]
}
