// What tests of functions and buses have around them: an owner that notes accesses, sinks, an
// observer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "access.h"
#include "guestproof/pci/bus.h"

namespace guestproof::pci {

/// Answers reads with `value` and notes what it is asked.
class NotingOwner : public FunctionOwner {
 public:
  struct Asked {
    char what;  // 'r', 'w' of a BAR; 'R', 'W' of the window
    unsigned bar;
    std::uint64_t offset;
    std::size_t width;
    std::uint64_t value;

    friend bool operator==(const Asked&, const Asked&) = default;
  };

  Result<void> read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> data) override {
    asked.push_back({'r', bar, offset, data.size(), 0});
    store(data, value);
    if (clears != nullptr) clears->set_interrupt(false);
    return {};
  }
  Result<void> write_bar(unsigned bar, std::uint64_t offset,
                         std::span<const std::byte> data) override {
    asked.push_back({'w', bar, offset, data.size(), load(data)});
    return {};
  }
  Result<void> read_window(unsigned at, std::span<std::byte> data) override {
    asked.push_back({'R', 0, at, data.size(), 0});
    store(data, value);
    return {};
  }
  Result<void> write_window(unsigned at, std::span<const std::byte> data) override {
    asked.push_back({'W', 0, at, data.size(), load(data)});
    return {};
  }
  void bus_master_changed(bool on) override {
    masters.push_back(on);
    if (raises != nullptr) static_cast<void>(raises->raise(1));
  }

  std::uint64_t value = 0x8877'6655'4433'2211;
  Function* clears = nullptr;  // whose interrupt a read of a BAR takes back
  Function* raises = nullptr;  // its vector 1, when Bus Master changes
  std::vector<Asked> asked;
  std::vector<bool> masters;  // what it heard of Bus Master
};

class NotingSink : public MsiSink {
 public:
  void deliver(const MsiMessage& message) override { all.push_back(message); }
  std::vector<MsiMessage> all;
};

/// Notes mapping and lines in words.
class NotingVmm : public BarObserver, public IntxSink {
 public:
  void unmapped(Slot slot, unsigned bar, const BarRange& range) override {
    note("unmapped", slot, bar, range);
  }
  void mapped(Slot slot, unsigned bar, const BarRange& range) override {
    note("mapped", slot, bar, range);
  }
  void set_level(unsigned line, bool high) override {
    all.push_back((high ? "high " : "low ") + std::to_string(line));
  }
  /// What was noted since the last time.
  std::vector<std::string> take() { return std::exchange(all, {}); }

 private:
  void note(const char* what, Slot slot, unsigned bar, const BarRange& range) {
    char text[64];
    std::snprintf(text, sizeof text, "%s %u.%u bar %u %s%llx+%llx", what, slot.device,
                  slot.function, bar, range.io ? "port " : "",
                  static_cast<unsigned long long>(range.base),
                  static_cast<unsigned long long>(range.size));
    all.emplace_back(text);
  }
  std::vector<std::string> all;
};

}  // namespace guestproof::pci
