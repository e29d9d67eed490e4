variable "vm_size" {
  type        = string
  default     = "Standard_D8s_v5"
  description = "Of the builder; no GPU is needed: kernel modules are compiled, not loaded."
}

variable "base" {
  type        = string
  default     = "latest"
  description = "Version of the source image, such as 24.04.202610140."
}

variable "virtual_network" {
  type        = object({ group = string, name = string, subnet = string })
  default     = { group = "", name = "", subnet = "" }
  description = "Where the builder runs without a public address; empty: a network of its own, gone after the bake."
}

variable "allowed_inbound_ip_addresses" {
  type        = list(string)
  default     = []
  description = "Who may reach the builder's SSH in a network of its own; empty: anybody with the bake's one-time key."
}

source "azure-arm" "node" {
  # Whoever `az login` logged in, people and pipelines alike: no secret passes through here.
  use_azure_cli_auth = true
  subscription_id    = "00000000-0000-4000-8000-000000000000"
  location           = "eastus"
  vm_size            = var.vm_size

  os_type         = "Linux"
  image_publisher = "Canonical"
  image_offer     = "ubuntu-24_04-lts"
  image_sku       = "server"
  image_version   = var.base
  os_disk_size_gb = 64

  virtual_network_resource_group_name = var.virtual_network.group != "" ? var.virtual_network.group : null
  virtual_network_name                = var.virtual_network.name != "" ? var.virtual_network.name : null
  virtual_network_subnet_name         = var.virtual_network.subnet != "" ? var.virtual_network.subnet : null
  allowed_inbound_ip_addresses        = length(var.allowed_inbound_ip_addresses) > 0 ? var.allowed_inbound_ip_addresses : null
  public_ip_sku                       = var.virtual_network.name == "" ? "Standard" : null

  # Stack files find the version by gallery, family and version. Disks and images are encrypted at rest by the platform.
  shared_image_gallery_destination {
    subscription         = "00000000-0000-4000-8000-000000000000"
    resource_group       = "spillway-images"
    gallery_name         = "spillway"
    image_name           = "spillway-vllm"
    image_version        = "2026.11.1"
    storage_account_type = "Standard_LRS"

    target_region {
      name     = "eastus"
      replicas = 2
    }

    target_region {
      name     = "westeurope"
      replicas = 2
    }
  }
  shared_image_gallery_timeout = "120m"

  azure_tags = {
    "spillway-family"        = "spillway-vllm"
    "spillway-version"       = "2026.11.1"
    "spillway-source"        = "5555555555555555555555555555555555555555555555555555555555555555"
    "spillway-cuda"          = "13.0"
    "spillway-dcgm"          = "1:4.6.0-1"
    "spillway-nvidia-driver" = "580.173.02"
    "spillway-torch"         = "2.14.0+cu130"
  }
}
