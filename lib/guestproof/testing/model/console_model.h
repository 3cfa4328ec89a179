// A second opinion on the console device: written from virtio 1.3 §5.3 and from the policies that
// the headers in virtio/device/console state, for comparison. It shares no code with them. Taking
// chains and returning them is left to whoever drives it.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>

#include "guestproof/testing/model/lifecycle_model.h"

namespace guestproof::testing {

class ConsoleModel final : public DeviceModel {
 public:
  /// The host's end of a port: all that the model asks of it.
  class End {
   public:
    End() = default;
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    virtual ~End() = default;
    enum class Answer : std::uint8_t { kDone, kNotNow, kFails };
    virtual Answer put(std::uint8_t byte) = 0;
    virtual Answer get(std::uint8_t& byte) = 0;
    virtual void emergency(std::uint8_t byte) = 0;
    virtual void guest_opened(bool open) = 0;
  };
  struct Port {
    End* end = nullptr;
    std::string_view name;
    bool console = false;

    bool plugged = true, host_open = true, guest_open = false;
    std::uint8_t state = 0;      // absent, added, ready, failed
    std::set<unsigned> pending;  // remove, add, console, name, resize, open
    std::uint16_t cols = 0, rows = 0;
    std::deque<std::uint8_t> input;
    std::uint64_t transmitted = 0;
    bool blocked = false;
  };

  ConsoleModel(std::function<std::uint64_t()> negotiated, std::vector<Port> all)
      : ports(std::move(all)), negotiated_(std::move(negotiated)) {}

  [[nodiscard]] std::uint32_t device_id() const override { return 3; }
  [[nodiscard]] std::uint64_t features() const override { return 7; }
  [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override {
    return std::vector<std::uint16_t>(2 * ports.size() + 2, 64);
  }
  [[nodiscard]] std::vector<std::uint8_t> config() const override;
  /// emerg_wr, the last field: nothing longer lies within the configuration space.
  [[nodiscard]] bool writes_early(std::uint64_t offset, std::size_t /*length*/) const override {
    return offset == 8;
  }
  [[nodiscard]] ModelError write_config(std::uint64_t offset,
                                        std::span<const std::uint8_t> bytes) override;
  void stop_queue(std::size_t queue) override;
  void reset() override;
  [[nodiscard]] std::vector<std::uint8_t> save() const override;
  [[nodiscard]] ModelError restore(std::span<const std::uint8_t> bytes) override;

  [[nodiscard]] bool multiport() const { return (negotiated_() & 2) != 0; }

  // The host's side.

  void plug(std::size_t id);
  void unplug(std::size_t id);
  void set_host_open(std::size_t id, bool open);
  void resize(std::size_t id, std::uint16_t cols, std::uint16_t rows);

  // For the guest.

  /// Whether there are bytes that the guest may have; `why`: the port failed.
  [[nodiscard]] bool refill(std::size_t id, ModelError& why);
  struct Given {
    std::uint32_t used = 0;
    ModelError why;
  };
  [[nodiscard]] Given give_input(const WatchedMemory& memory, const ModelChain& chain,
                                 std::size_t id);
  /// The next control message; empty when there is none.
  [[nodiscard]] std::vector<std::uint8_t> message() const;
  [[nodiscard]] Given give_message(const WatchedMemory& memory, const ModelChain& chain);

  // From the guest.

  [[nodiscard]] bool may_transmit(std::size_t id) const;
  struct Passed {
    bool all = true;  // of the chain: it is returned
    ModelError why;
  };
  /// Passes on what is next of a chain, at most `left` bytes.
  [[nodiscard]] Passed take_output(const WatchedMemory& memory, const ModelChain& chain,
                                   std::size_t id, std::uint64_t& left);
  [[nodiscard]] ModelError take_message(const WatchedMemory& memory, const ModelChain& chain);

  std::vector<Port> ports;
  std::set<std::size_t> changed;  // ports that a message of the driver has changed

 private:
  [[nodiscard]] ModelError receive(std::uint64_t id, std::uint64_t event, std::uint64_t value);
  static void open(Port& port, bool open);

  std::function<std::uint64_t()> negotiated_;
  bool device_ready_ = false;
};

}  // namespace guestproof::testing
