variable "instance_type" {
  type        = string
  default     = "S5.2XLARGE16"
  description = "Of the builder; no GPU is needed: kernel modules are compiled, not loaded."
}

variable "base" {
  type        = string
  default     = "Ubuntu Server 24.04 LTS 64bit"
  description = "Name of the source image."
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "Where the builder runs, with subnet_id; empty: a network of its own, gone after the bake."
}

variable "subnet_id" {
  type    = string
  default = ""
}

source "tencentcloud-cvm" "node" {
  region            = "ap-guangzhou"
  zone              = "ap-guangzhou-6"
  image_name        = "spillway-vllm-2026-11-1"
  image_description = "Spillway node 2026.11.1"

  image_copy_regions = ["ap-singapore"]

  source_image_name           = var.base
  instance_type               = var.instance_type
  disk_type                   = "CLOUD_SSD"
  disk_size                   = 64
  vpc_id                      = var.vpc_id != "" ? var.vpc_id : null
  subnet_id                   = var.subnet_id != "" ? var.subnet_id : null
  associate_public_ip_address = true
  internet_max_bandwidth_out  = 100

  ssh_username = "ubuntu"

  image_tags = {
    "spillway-family"        = "spillway-vllm"
    "spillway-version"       = "2026.11.1"
    "spillway-source"        = "5555555555555555555555555555555555555555555555555555555555555555"
    "spillway-cuda"          = "13.0"
    "spillway-dcgm"          = "1:4.6.0-1"
    "spillway-nvidia-driver" = "580.173.02"
    "spillway-torch"         = "2.14.0+cu130"
  }
  run_tags = {
    "spillway-component" = "image-builder"
    "spillway-version"   = "2026.11.1"
  }
}
