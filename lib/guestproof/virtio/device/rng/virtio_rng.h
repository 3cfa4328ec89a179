// The entropy device, virtio-rng: fills device-writable buffers with random bytes. Also the
// shortest device there is; copy it to begin another one.
//
// The answer to a request:
// - A malformed chain is returned with length 0; so are a chain with device-readable bytes
//   (kReadable, §5.4.6.1: the driver MUST NOT place any there) and one without writable bytes
//   (kNoRoom).
// - Otherwise up to kMaxRequestBytes are written, from the first writable
//   byte on; a buffer outside guest memory or a failing source ends it there. The used length is
//   what was written (§5.4.6.2: the device MAY use less than the whole buffer).
// - While the source has no bytes the request waits in the ring; host_ready() goes on. The source
// is
//   asked for 256 bytes at a time, and each byte that it gave is written to one request only.
//
// Thread-safety: none, see VirtioDevice.
// Specification: virtio 1.3 §5.4.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "guestproof/virtio/device/device.h"
#include "guestproof/virtio/device/rng/entropy.h"
#include "guestproof/virtio/device/rng/error.h"

namespace guestproof::virtio::rng {

/// The most bytes for one request. Drivers ask for 64 (Linux) to a few KiB; making 64 KiB takes the
/// kernel about 200 microseconds, the 4 GiB that a chain can ask for would take it seconds.
inline constexpr std::uint64_t kMaxRequestBytes = 64 << 10;

template <GuestMemory M>
class VirtioRng final : public VirtioDevice<M> {
 public:
  /// `source` outlives the device.
  explicit VirtioRng(EntropySource& source) : source_(source) {}

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_ENTROPY; }
  [[nodiscard]] std::uint64_t features() const override { return 0; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kQueueSizes; }
  void attach(Driver<M>& driver) override { driver_ = &driver; }
  void start() override {}
  void stop_queue(std::uint16_t) override {}
  void settle() override {}
  void reset() override { bytes_ = {}; }
  [[nodiscard]] int host_fd() const override { return source_.host_fd(); }

  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    return take_turn(
        *driver_, queue, [&] { return ready(); },
        [&](Chain<VirtQueue<M>> chain) -> Result<void> {
          const auto written = answer(chain);
          return chain.complete(written);
        });
  }
  [[nodiscard]] Result<bool> host_ready() override { return serve(kRequestQueue); }

  [[nodiscard]] Result<void> save(std::vector<std::byte>&) override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return {};
    return fail(DeviceStateError::kDevice, std::to_integer<std::uint64_t>(bytes.front()), 0);
  }

 private:
  static constexpr std::uint16_t kRequestQueue = 0;
  /// One request at a time is what drivers make.
  static constexpr std::array<std::uint16_t, 1> kQueueSizes{64};

  /// How many bytes there are that no driver has seen; asks the source when there are none.
  [[nodiscard]] Result<std::size_t> refill() {
    if (bytes_.empty()) {
      const auto got = source_.fill(buffer_);
      if (!got) return got;
      bytes_ = std::span(buffer_).first(*got);
    }
    return bytes_.size();
  }
  /// Whether a request can be answered, with bytes or with the source's failure.
  [[nodiscard]] bool ready() {
    const auto there = refill();
    return !there || *there != 0;
  }

  /// Writes what a request gets; the used length.
  std::uint32_t answer(const Chain<VirtQueue<M>>& chain) {
    std::uint32_t written = 0;
    auto done = check(chain);
    if (done) done = write(chain.writer(), written);
    if (!done) driver_->refused(kRequestQueue, done.error());
    return written;
  }
  [[nodiscard]] Result<void> write(Writer<M> writer, std::uint32_t& written) {
    while (written < kMaxRequestBytes && writer.remaining() != 0) {
      const auto there = refill();
      if (!there) return std::unexpected(there.error());
      if (*there == 0) break;
      const auto left = std::min<std::uint64_t>(kMaxRequestBytes - written, writer.remaining());
      const auto before = writer.remaining();
      const auto done = writer.write(bytes_.first(std::min<std::uint64_t>(*there, left)));
      const auto arrived = before - writer.remaining();
      written += static_cast<std::uint32_t>(arrived);
      bytes_ = bytes_.subspan(arrived);
      if (!done) return done;
    }
    return {};
  }

  [[nodiscard]] static Result<void> check(const Chain<VirtQueue<M>>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) return fail(RngError::kReadable, chain.readable_bytes());
    if (chain.writable_bytes() == 0) return fail(RngError::kNoRoom);
    return {};
  }

  EntropySource& source_;
  Driver<M>* driver_ = nullptr;
  std::array<std::byte, 256> buffer_{};  // what getrandom(2) fills without a pause
  std::span<const std::byte> bytes_;     // of it, that no driver has seen
};

}  // namespace guestproof::virtio::rng
