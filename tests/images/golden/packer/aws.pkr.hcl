variable "instance_type" {
  type        = string
  default     = "c7i.2xlarge"
  description = "Of the builder; no GPU is needed: kernel modules are compiled, not loaded."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Where the builder runs; empty: the default VPC."
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "session_manager with an instance profile, or private_ip, where builders have no public address."
}

variable "iam_instance_profile" {
  type        = string
  default     = ""
  description = "For ssh_interface session_manager; the bake itself needs no rights."
}

variable "kms_key_id" {
  type        = string
  default     = "alias/aws/ebs"
  description = "Of image and copies, by alias, which every region has its own key for."
}

variable "base" {
  type        = string
  default     = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
  description = "Name of the source image, which may hold *; the newest is taken."
}

source "amazon-ebs" "node" {
  region          = "us-east-1"
  ami_name        = "spillway-vllm-2026.11.1"
  ami_regions     = ["us-west-2"]
  ami_description = "Spillway node 2026.11.1"

  source_ami_filter {
    owners      = ["099720109477"]
    most_recent = true
    filters = {
      name                = var.base
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id != "" ? var.subnet_id : null
  associate_public_ip_address = var.ssh_interface == "public_ip"
  iam_instance_profile        = var.iam_instance_profile != "" ? var.iam_instance_profile : null
  shutdown_behavior           = "terminate"
  ena_support                 = true

  # The builder's own metadata, and that of whatever boots from the image: IMDSv2 only.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  imds_support = "v2.0"

  temporary_security_group_source_public_ip = true

  # Nobody else may start it: encrypted, and shared with no account.
  encrypt_boot = true
  kms_key_id   = var.kms_key_id
  region_kms_key_ids = {
    us-west-2 = var.kms_key_id
  }

  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_type           = "gp3"
    volume_size           = 64
    iops                  = 3000
    throughput            = 500
    encrypted             = true
    delete_on_termination = true
  }

  ssh_username              = "ubuntu"
  ssh_interface             = var.ssh_interface
  ssh_clear_authorized_keys = true
  temporary_key_pair_type   = "ed25519"

  # Encrypted copies to other regions take longer than the AWS SDK waits by itself.
  aws_polling {
    delay_seconds = 30
    max_attempts  = 240
  }

  tags = {
    "Name"                   = "spillway-vllm-2026.11.1"
    "spillway:family"        = "spillway-vllm"
    "spillway:version"       = "2026.11.1"
    "spillway:source"        = "5555555555555555555555555555555555555555555555555555555555555555"
    "spillway:cuda"          = "13.0"
    "spillway:dcgm"          = "1:4.6.0-1"
    "spillway:nvidia-driver" = "580.173.02"
    "spillway:torch"         = "2.14.0+cu130"
    "spillway:base"          = "{{ .SourceAMIName }}"
  }
  snapshot_tags = {
    "spillway:family"  = "spillway-vllm"
    "spillway:version" = "2026.11.1"
    "spillway:source"  = "5555555555555555555555555555555555555555555555555555555555555555"
  }
  run_tags = {
    "Name"               = "bake spillway-vllm-2026.11.1"
    "spillway:component" = "image-builder"
    "spillway:version"   = "2026.11.1"
  }
  run_volume_tags = {
    "Name"               = "bake spillway-vllm-2026.11.1"
    "spillway:component" = "image-builder"
    "spillway:version"   = "2026.11.1"
  }
}
