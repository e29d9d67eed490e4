variable "machine_type" {
  type        = string
  default     = "e2-standard-8"
  description = "Of the builder; no GPU is needed: kernel modules are compiled, not loaded."
}

variable "network" {
  type        = string
  default     = "default"
  description = "Where the builder runs."
}

variable "subnetwork" {
  type        = string
  default     = ""
  description = "Needed where the network has no automatic subnetworks."
}

variable "use_iap" {
  type        = bool
  default     = false
  description = "Reach a builder without a public address through Identity-Aware Proxy; its network then needs Cloud NAT."
}

variable "base" {
  type        = string
  default     = ""
  description = "Name of the source image; empty: the newest of its family."
}

source "googlecompute" "node" {
  project_id = "spillway-test"
  zone       = "us-central1-a"

  image_name        = "spillway-vllm-2026-11-1"
  image_family      = "spillway-vllm"
  image_description = "Spillway node 2026.11.1"
  image_labels = {
    "spillway-family"        = "spillway-vllm"
    "spillway-version"       = "2026-11-1"
    "spillway-source"        = "555555555555555555555555555555555555555555555555555555555555555"
    "spillway-cuda"          = "13-0"
    "spillway-dcgm"          = "1-4-6-0-1"
    "spillway-nvidia-driver" = "580-173-02"
    "spillway-torch"         = "2-14-0-cu130"
  }
  image_guest_os_features = ["GVNIC", "UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE"]

  source_image            = var.base != "" ? var.base : null
  source_image_family     = "ubuntu-2404-lts-amd64"
  source_image_project_id = ["ubuntu-os-cloud"]

  machine_type     = var.machine_type
  disk_size        = 64
  disk_type        = "pd-ssd" # encrypted at rest by the platform, as the image is
  network          = var.network
  subnetwork       = var.subnetwork != "" ? var.subnetwork : null
  omit_external_ip = var.use_iap
  use_internal_ip  = var.use_iap
  use_iap          = var.use_iap
  labels = {
    "spillway-component" = "image-builder"
    "spillway-version"   = "2026-11-1"
  }

  # The builder acts as nobody.
  disable_default_service_account = true
  metadata = {
    block-project-ssh-keys = "TRUE"
    enable-oslogin         = "FALSE"
  }

  # Kernel modules compiled at the bake carry no signature that Secure Boot knows; vTPM and integrity monitoring stay on.
  enable_secure_boot          = false
  enable_vtpm                 = true
  enable_integrity_monitoring = true

  ssh_username              = "packer"
  ssh_clear_authorized_keys = true
  temporary_key_pair_type   = "ed25519"
  state_timeout             = "30m"
}
