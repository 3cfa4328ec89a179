// A guest that brings a device up and drives its queues, with rings of either format, for the tests
// of devices.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "guestproof/testing/packed_driver.h"
#include "guestproof/testing/watched_memory.h"
#include "guestproof/virtio/device/lifecycle.h"
#include "print.h"

namespace guestproof::virtio {

/// Wants to know what was refused, and nothing else.
class ListeningHost final : public Host {
 public:
  void wake() override {}
  void refused(std::uint16_t queue, const Error& why) override {
    refusals.push_back(why);
    queues.push_back(queue);
  }
  /// What was refused since this was last asked.
  [[nodiscard]] std::vector<Error> take() { return std::exchange(refusals, {}); }

  std::vector<Error> refusals;
  std::vector<std::uint16_t> queues;
};

class CountingInterrupts final : public Interrupts {
 public:
  void used_buffers(std::uint16_t queue) override { used.push_back(queue); }
  void configuration_changed() override { ++config; }

  std::vector<std::uint16_t> used;
  int config = 0;
};

class Guest {
 public:
  using Memory = testing::WatchedMemory;
  static constexpr std::uint16_t kSize = 8;
  static constexpr std::uint64_t kRings = 0x1000;  // each queue's rings have a page from here on

  Guest(Lifecycle& lifecycle, const Memory& memory, RingLayout format)
      : lifecycle_(lifecycle), view_(memory.guest()), format_(format) {}

  /// Resets the device and brings it up with these features and queues.
  void start(std::uint64_t features, const std::vector<std::uint16_t>& queues) {
    agree(features);
    for (const auto index : queues) set_up(index);
    ASSERT_TRUE(lifecycle_.set_status(lifecycle_.status() | VIRTIO_STATUS_DRIVER_OK));
    ASSERT_TRUE(lifecycle_.running());
  }
  /// Up to FEATURES_OK.
  void agree(std::uint64_t features) {
    features |= feature_bit(VIRTIO_F_VERSION_1) | feature_bit(VIRTIO_F_RING_RESET) |
                (format_ == RingLayout::kPacked ? feature_bit(VIRTIO_F_RING_PACKED) : 0);
    lifecycle_.reset();
    drivers_.clear();
    constexpr std::uint8_t kDriving = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    ASSERT_TRUE(lifecycle_.set_status(kDriving));
    ASSERT_TRUE(lifecycle_.set_driver_features(0, static_cast<std::uint32_t>(features)));
    ASSERT_TRUE(lifecycle_.set_driver_features(1, static_cast<std::uint32_t>(features >> 32)));
    ASSERT_TRUE(lifecycle_.set_status(kDriving | VIRTIO_STATUS_FEATURES_OK));
  }
  /// Configures and enables a queue, on empty rings.
  void set_up(std::uint16_t index) {
    const auto layout =
        testing::QueueLayout::at(GuestAddress(kRings + 0x1000ULL * index), kSize, format_);
    const std::vector<std::byte> zeros(0x1000);
    ASSERT_TRUE(write_bytes(view_, layout.descriptor_table, zeros));
    ASSERT_TRUE(lifecycle_.set_queue_size(index, layout.size));
    ASSERT_TRUE(lifecycle_.set_descriptor_area(index, layout.descriptor_table));
    ASSERT_TRUE(lifecycle_.set_driver_area(index, layout.available_ring));
    ASSERT_TRUE(lifecycle_.set_device_area(index, layout.used_ring));
    ASSERT_TRUE(lifecycle_.enable_queue(index));
    if (drivers_.size() <= index) drivers_.resize(index + 1U);
    if (format_ == RingLayout::kPacked)
      drivers_[index].emplace<Packed>(view_, layout);
    else
      drivers_[index].emplace<Split>(view_, layout);
  }

  void add(std::uint16_t queue, std::initializer_list<testing::BufferSpec> buffers) {
    if (auto* split = std::get_if<Split>(&drivers_.at(queue))) split->add_chain(buffers);
    if (auto* packed = std::get_if<Packed>(&drivers_.at(queue))) packed->add_chain(buffers);
  }
  /// The used length of the next chain that came back.
  [[nodiscard]] std::optional<std::uint32_t> used(std::uint16_t queue) {
    std::optional<VirtqUsedElem> element;
    if (auto* split = std::get_if<Split>(&drivers_.at(queue))) element = split->take_used();
    if (auto* packed = std::get_if<Packed>(&drivers_.at(queue))) element = packed->take_used();
    return element ? std::optional<std::uint32_t>(element->len) : std::nullopt;
  }
  /// Kicks, and lets the device work until it has nothing left to do.
  void kick(std::uint16_t queue) {
    ASSERT_TRUE(lifecycle_.kick(queue));
    work();
  }
  void work() {
    auto more = lifecycle_.work();
    while (more && *more) more = lifecycle_.work();
    ASSERT_TRUE(more) << more.error().message();
  }
  /// add(), kick(), used().
  std::optional<std::uint32_t> serve(std::uint16_t queue,
                                     std::initializer_list<testing::BufferSpec> buffers) {
    add(queue, buffers);
    kick(queue);
    return used(queue);
  }

  template <class T>
  void write(GuestAddress where, const std::vector<T>& objects) {
    ASSERT_TRUE(write_bytes(view_, where, std::as_bytes(std::span(objects))));
  }
  void write(GuestAddress where, const std::string& text) {
    ASSERT_TRUE(write_bytes(view_, where, std::as_bytes(std::span(text))));
  }
  [[nodiscard]] std::string text(GuestAddress where, std::size_t length) const {
    std::string out(length, '\0');
    EXPECT_TRUE(read_bytes(view_, where, std::as_writable_bytes(std::span(out))));
    return out;
  }

 private:
  using Split = testing::Driver<Memory::GuestView>;
  using Packed = testing::PackedDriver<Memory::GuestView>;

  Lifecycle& lifecycle_;
  Memory::GuestView view_;
  RingLayout format_;
  std::deque<std::variant<std::monostate, Split, Packed>> drivers_;
};

/// For INSTANTIATE_TEST_SUITE_P over both formats.
inline std::string format_name(const ::testing::TestParamInfo<RingLayout>& info) {
  return info.param == RingLayout::kPacked ? "Packed" : "Split";
}

}  // namespace guestproof::virtio
