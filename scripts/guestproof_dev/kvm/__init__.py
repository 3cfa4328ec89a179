"""What `scripts/dev with-kvm` is made of: the probe of the host, kernels from Debian packages, emulated machines."""
