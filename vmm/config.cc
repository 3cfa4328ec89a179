#include "vmm/config.h"

#include <fmt/format.h>

#include <set>

#include "guestproof/virtio/device/net/config.h"

namespace guestproof::vmm {

Outcome<void> Config::check() const {
  if (kernel.path.empty()) return wrong_usage("--kernel is required, with path=FILE.");
  if (memory_mib < kMinMemoryMib || memory_mib > kMaxMemoryMib)
    return wrong_usage(fmt::format("--memory: size_mib={} is not from {} to {}.", memory_mib,
                                   kMinMemoryMib, kMaxMemoryMib));
  if (huge_pages && memory_mib % 2 != 0)
    return wrong_usage(fmt::format(
        "--memory: size_mib={} is no number of huge pages, which are of 2 MiB.", memory_mib));
  if (vcpus < 1 || vcpus > kMaxVcpus)
    return wrong_usage(fmt::format("--vcpu: num={} is not from 1 to {}.", vcpus, kMaxVcpus));
  if (devices() > kMaxDevices)
    return wrong_usage(
        fmt::format("{} virtio devices are given; there is room for {}.", devices(), kMaxDevices));
  std::set<std::string> taps;
  for (const auto& net : nets) {
    if (!taps.insert(net.tap).second)
      return wrong_usage(fmt::format("--net: tap={} is given twice.", net.tap));
    if (net.tap.contains('%'))
      return wrong_usage(fmt::format("--net: tap={}: there may be no % in a name.", net.tap));
    if (net.pairs < 1 || net.pairs > virtio::net::kMaxPairs)
      return wrong_usage(
          fmt::format("--net: pairs={} is not from 1 to {}.", net.pairs, virtio::net::kMaxPairs));
  }
  if (vsocks.size() > 1)
    return wrong_usage("--vsock is given twice; a guest has one address, and so one device.");
  for (const auto& vsock : vsocks)
    if (vsock.cid < 3 || vsock.cid >= 0xffffffff)
      return wrong_usage(
          fmt::format("--vsock: cid={} is not from 3 to {}.", vsock.cid, 0xfffffffe));
  if (balloons.size() > 1) return wrong_usage("--balloon is given twice; Linux drives one.");
  for (const auto& balloon : balloons)
    if (balloon.target_mib > memory_mib)
      return wrong_usage(fmt::format("--balloon: target_mib={} is more than the memory's {}.",
                                     balloon.target_mib, memory_mib));
  return {};
}

}  // namespace guestproof::vmm
