variable "name" {
  description = "Name of everything that is made, in the console and in the log group."
  type        = string
  default     = "gotthard"
}

variable "gateway_address" {
  description = "Outer address of the gateway as AWS sees it: behind a NAT, that of the NAT."
  type        = string

  validation {
    condition     = can(cidrnetmask("${var.gateway_address}/32"))
    error_message = "Write an IPv4 address, such as 203.0.113.10."
  }
}

variable "gateway_asn" {
  description = "BGP AS number of the gateway."
  type        = number
  default     = 65010

  validation {
    condition     = var.gateway_asn >= 1 && var.gateway_asn <= 2147483647
    error_message = "Write an AS number of 1 to 2147483647; AWS takes larger ones as bgp_asn_extended."
  }
}

variable "vpc_id" {
  description = "VPC that gets a virtual private gateway; null with transit_gateway_id."
  type        = string
  default     = null
}

variable "route_table_ids" {
  description = "Route tables of the VPC that learn the gateway's prefixes by route propagation."
  type        = set(string)
  default     = []
}

variable "transit_gateway_id" {
  description = "Transit gateway that the connection ends at, with ECMP over both tunnels; null with vpc_id."
  type        = string
  default     = null
}

variable "amazon_side_asn" {
  description = "BGP AS number of the virtual private gateway; a transit gateway has its own."
  type        = number
  default     = 64512
}

variable "log_retention_days" {
  description = "How long the tunnels' logs are kept in CloudWatch, in days."
  type        = number
  default     = 30
}
