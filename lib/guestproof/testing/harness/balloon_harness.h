// The memory balloon under test. Target: balloon.
//
// A `request` record, by its queue (modulo 5, by the numbers of virtio 1.3 §5.5.2):
//   0, 1  an array of `length` page numbers (modulo 65; 0: 1) from `value` (modulo 64) on; kind
//         modulo 4: ascending, descending, always the same, every second page. raw: from `value` on
//         as it is, the array is what lies there, `length` bytes of it (up to 20000)
//   2     `length` statistics (modulo 32), with tags from `index` on (modulo 12) and multiples of
//         `value`; raw: `length` bytes (up to 4000) of what lies there
//   3     kind modulo 3: a command, `length` bytes of free pages (modulo 8193; 0: 4096), both. The
//         command is the device's plus `value`; raw: STOP, or `next` bytes of what lies there
//   4     `length` bytes of free pages (modulo 16385; 0: 4096)
// and in all of them raw: with `extra` (modulo 256) bytes more of the other direction.
// A `backend` record, by kind:
//   0  the driver's features, see device_harness.h
//   1  the host wants `value` pages
//   2  the host asks for statistics
//   3  hinting starts
//   4  it pauses
//   5  it is over
//   6  the back end fails once, after `value` (modulo 8) calls
#pragma once

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/model/balloon_model.h"
#include "guestproof/virtio/device/balloon/virtio_balloon.h"

namespace guestproof::testing {

/// Notes what it is told, and fails when it is meant to.
class ScriptedBalloon final : public virtio::balloon::BalloonBackend {
 public:
  using PageRange = virtio::balloon::PageRange;

  [[nodiscard]] Result<void> inflate(const PageRange& pages) override;
  [[nodiscard]] Result<void> deflate(const PageRange& pages) override;
  [[nodiscard]] Result<void> report(const PageRange& range) override;
  [[nodiscard]] Result<void> hint(const PageRange& range) override;
  void statistics(const virtio::balloon::Statistics& statistics) override;

  /// False: it fails.
  bool note(const BalloonEvent& event);
  void reset();

  std::vector<BalloonEvent> events;
  std::optional<std::uint64_t> fails_after;

 private:
  [[nodiscard]] Result<void> note(BalloonEvent::What what, const PageRange& range);
};

class BalloonHarness final : public DeviceHarness {
 public:
  BalloonHarness();
  ~BalloonHarness() override { disconnect(); }

  [[nodiscard]] std::string_view name() const override { return "balloon"; }

 private:
  using Role = BalloonModel::Role;

  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  void request_pages(const Record& record, RequestShape& shape);
  void request_statistics(const Record& record, RequestShape& shape);
  void request_hints(const Record& record, RequestShape& shape);
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_statistics(std::uint32_t looks);
  [[nodiscard]] Turn serve_host_model() override;
  void host_event(std::uint8_t kind, const Record& record) override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 6; }
  void settle_model(Settle) override;
  void compare_devices() override;

  // The same back end twice.
  ScriptedBalloon backend_, model_backend_;
  virtio::balloon::VirtioBalloon<WatchedMemory> device_{backend_};
  BalloonModel model_;
  std::vector<std::byte> fresh_;  // the state of a device that nothing has happened to
  std::vector<std::byte> payload_;
  std::array<Depth::Index, 5> events_{};
  Depth::Index returned_, numbered_, ignored_;
};

}  // namespace guestproof::testing
