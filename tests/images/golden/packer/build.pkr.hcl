# What is done on the builder, the same on every cloud: the tree arrives as one file, then the numbered scripts run as root.
build {
  sources = ["source.azure-arm.node"]

  # cloud-init still has hands on apt and on the disk when SSH answers; 2 is its word for "done, with warnings".
  provisioner "shell" {
    inline  = ["cloud-init status --wait >/dev/null || [ $? -eq 2 ]"]
    timeout = "15m"
  }

  provisioner "file" {
    source      = "${path.root}/spillway-image.tar"
    destination = "/tmp/spillway-image.tar"
  }

  provisioner "shell" {
    execute_command = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
    inline = [
      "set -eu",
      "echo 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  /tmp/spillway-image.tar' | sha256sum --check --strict --quiet",
      "install -d -m 0755 /var/tmp/spillway-image",
      "tar --extract --file /tmp/spillway-image.tar --directory /var/tmp/spillway-image --no-same-owner --preserve-permissions",
      "rm /tmp/spillway-image.tar",
    ]
  }

  provisioner "shell" {
    execute_command = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
    inline          = ["cd /var/tmp/spillway-image/install", "bash ./00-base.sh"]
    timeout         = "60m"
  }

  provisioner "shell" {
    execute_command = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
    inline          = ["cd /var/tmp/spillway-image/install", "bash ./90-clean.sh"]
    timeout         = "60m"
  }

  # The image tells what it is, also where its tags do not come along (a copy, a disk mounted elsewhere).
  provisioner "shell" {
    execute_command = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
    inline = [
      "set -eu",
      "install -D -m 0644 /var/tmp/spillway-image/sbom.json /usr/share/spillway/sbom.json",
      "printf '%s\\n' '{\"cloud\": \"azure\", \"family\": \"spillway-vllm\", \"version\": \"2026.11.1\", \"source\": \"5555555555555555555555555555555555555555555555555555555555555555\"}' >/usr/share/spillway/image.json",
      "dpkg-query --show >/usr/share/spillway/packages.tsv",
      "chmod 0644 /usr/share/spillway/*",
      "rm -rf /var/tmp/spillway-image",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/usr/share/spillway/components.txt"
    destination = "${path.root}/components.txt"
  }

  # Last of all: it takes away the user that Packer came as, and the agent's memory of this machine
  # (https://learn.microsoft.com/azure/virtual-machines/generalize).
  provisioner "shell" {
    execute_command = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
    inline          = ["/usr/sbin/waagent -force -deprovision+user", "export HISTSIZE=0", "sync"]
    skip_clean      = true
  }

  post-processor "manifest" {
    output     = "${path.root}/packer-manifest.json"
    strip_path = true
    custom_data = {
      cloud   = "azure"
      family  = "spillway-vllm"
      version = "2026.11.1"
      source  = "5555555555555555555555555555555555555555555555555555555555555555"
    }
  }
}
