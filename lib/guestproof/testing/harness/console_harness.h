// The console device under test, with two ports: port 0 is a console, port 1 is called "log".
// Target: console.
//
// A `request` record, by its queue (modulo 6, by the numbers of virtio 1.3 §5.3.2):
//   0, 4  room for `length` bytes (modulo 8193; 0: 64)
//   1, 5  `length` bytes (modulo 16385; 0: 16), the first of which are `value`
//   2     room for `length` bytes (modulo 257; 0: 64)
//   3     a control message: id `next`, event kind (modulo 10), value `value` with its lowest bit
//         turned over; raw: of `length` bytes (modulo 4097)
// and in all of them raw: with `extra` (modulo 256) bytes more of the other direction, and `length`
// may be 0.
// A `backend` record, by kind; it is about port `value` modulo 2, with n = `value` / 2:
//   0  the driver's features, see device_harness.h
//   1  n (modulo 8192) bytes for the guest arrive
//   2  the port takes n (modulo 8192) bytes more, and then none
//   3  the port works without limit
//   4  it fails
//   5  the port goes (n even) or comes
//   6  the host closes (n even) or opens its end
//   7  the size becomes n modulo 65536 columns and n / 65536 (modulo 65536) rows
// After all but 2 and 4 the device hears of it in host_ready().
#pragma once

#include <string>

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/model/console_model.h"
#include "guestproof/virtio/device/console/virtio_console.h"

namespace guestproof::testing {

/// The host's end of a port, for the device and for the model.
class ScriptedEnd final : public virtio::console::ConsolePort, public ConsoleModel::End {
 public:
  using Answer = ConsoleModel::End::Answer;

  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> in) override;
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out) override;
  void emergency(std::byte character) override {
    emergency(std::to_integer<std::uint8_t>(character));
  }
  void guest_opened(bool open) override { heard.push_back(open ? "opened" : "closed"); }

  Answer put(std::uint8_t byte) override;
  Answer get(std::uint8_t& byte) override;
  void emergency(std::uint8_t byte) override { heard.push_back(std::to_string(byte)); }

  void reset();

  std::uint64_t room = UINT64_MAX;
  std::uint64_t input = 0;  // bytes that wait
  bool fails = false;
  std::vector<std::uint8_t> output;
  std::vector<std::string> heard;

 private:
  std::uint8_t next_ = 0;
};

class ConsoleHarness final : public DeviceHarness {
 public:
  ConsoleHarness();
  ~ConsoleHarness() override { disconnect(); }

  [[nodiscard]] std::string_view name() const override { return "console"; }

 private:
  static constexpr std::size_t kPorts = 2;

  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_host_model() override;
  void host_event(std::uint8_t kind, const Record& record) override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 7; }
  void compare_devices() override;

  /// A turn at a queue, with its notification. False: there is nothing more to do now, or the queue
  /// is broken.
  [[nodiscard]] bool give_input(std::size_t id);
  [[nodiscard]] bool take_output(std::size_t id);
  [[nodiscard]] bool give_messages();
  [[nodiscard]] bool take_messages();
  [[nodiscard]] bool refuse_all(std::size_t queue);
  [[nodiscard]] bool broken();

  // The same ends twice.
  std::array<ScriptedEnd, kPorts> ends_, model_ends_;
  virtio::console::VirtioConsole<WatchedMemory> device_;
  ConsoleModel model_;
  std::vector<std::byte> fresh_;  // the state of a device that nothing has happened to
  std::vector<std::byte> payload_;
  Depth::Index to_guest_, from_guest_, blocked_, shared_, sent_, opened_, emergencies_;
};

}  // namespace guestproof::testing
