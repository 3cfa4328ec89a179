// The traditional memory balloon, virtio-balloon: a guest gives memory to the host and takes it
// back, tells how much it uses, and reports what is free.
//
// Queues. §5.5.2 gives each a number: 0 inflateq, 1 deflateq, 2 statsq, 3 free_page_vq, 4
// reporting_vq. Linux counts only those that exist with the features that it negotiated: without
// statsq its free_page_vq is queue 2. Both kinds of driver are served: when the driver starts the
// device with a queue enabled that does not exist by the numbers of §5.5.2, the queues are counted
// as Linux does; where all queues exist the two agree.
//
// The answers to requests:
// - Every chain is returned with length 0, once what it asks for is done; a buffer of statistics
//   when the host wants new ones. Of a chain that is refused the VMM hears why.
// - inflateq, deflateq: see pages.h. Pages that are not writable guest memory are left out.
// - statsq: see statistics.h. The buffer is kept, also one that makes no sense: to return it would
//   only make the driver send the next. Exceptions are a malformed chain, and the buffer that is
//   kept already (kStatisticsTwice; §5.5.6.3.1: at most one is available).
// - reporting_vq: the device-writable buffers are the memory that is free; kReadable when there are
//   device-readable bytes, kNoPages without buffers, a MemoryError for a buffer that is not all
//   writable guest memory, which ends the request. With a poison_val other than 0 nothing is done
//   (§5.5.6.7.2: the pages have to keep that value, and what is discarded reads as 0).
// - free_page_vq: device-readable bytes are a command of 4 bytes (kCommandLength); one that is
//   neither STOP nor the device's command ID gives kCommand. Device-writable buffers are as on
//   reporting_vq, and are ignored unless the device's command ID was the last command. A chain that
//   has neither: kNoPages.
// - A back end that fails ends the request.
// - A queue that does not exist: kNoQueue.
//
// Configuration space: the driver writes `actual` at any time, poison_val with
// VIRTIO_BALLOON_F_PAGE_POISON and before DRIVER_OK (§5.5.6.6.1); all else is read-only. The host's
// num_pages outlives a reset; the rest is 0 after it.
//
// Thread-safety: none, see VirtioDevice; the host's side is part of that unit.
// Specification: virtio 1.3 §5.5.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guestproof/virtio/device/balloon/backend.h"
#include "guestproof/virtio/device/balloon/error.h"
#include "guestproof/virtio/device/balloon/pages.h"
#include "guestproof/virtio/device/balloon/statistics.h"
#include "guestproof/virtio/device/balloon/wire.h"
#include "guestproof/virtio/device/device.h"

namespace guestproof::virtio::balloon {

/// All that the device has. None needs another.
inline constexpr std::uint64_t kBalloonFeatures =
    feature_bit(VIRTIO_BALLOON_F_MUST_TELL_HOST) | feature_bit(VIRTIO_BALLOON_F_STATS_VQ) |
    feature_bit(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | feature_bit(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
    feature_bit(VIRTIO_BALLOON_F_PAGE_POISON) | feature_bit(VIRTIO_BALLOON_F_PAGE_REPORTING);

template <GuestMemory M>
class VirtioBalloon final : public VirtioDevice<M> {
 public:
  /// `backend` outlives the device; `features`: a part of kBalloonFeatures.
  explicit VirtioBalloon(BalloonBackend& backend, std::uint64_t features = kBalloonFeatures)
      : backend_(backend), features_(features & kBalloonFeatures) {}

  // The host's side. REQUIRES: the device is in a life cycle.

  /// How many pages of 4096 bytes the balloon is to have.
  void set_target(std::uint32_t pages) {
    state_.config.num_pages = pages;
    driver_->config_changed();
  }
  [[nodiscard]] std::uint32_t target() const { return state_.config.num_pages; }
  /// How many it has, says the driver.
  [[nodiscard]] std::uint32_t actual() const { return state_.config.actual; }

  /// The next host_ready() returns the buffer that is kept, and the driver answers with another
  /// one. Nothing to return means that the driver has a buffer to send anyway, or no statsq.
  void request_statistics() { wanted_ = true; }

  /// The driver gives hints of free pages from now on. A command ID comes again after 2^32 − 2
  /// others.
  void start_hinting() {
    state_.last_command =
        state_.last_command < 2 || state_.last_command == UINT32_MAX ? 2U : state_.last_command + 1;
    set_command(state_.last_command);
  }
  /// It stops, and keeps the pages that it has told of.
  void pause_hinting() { set_command(VIRTIO_BALLOON_CMD_ID_STOP); }
  /// It stops, and uses all pages again.
  void finish_hinting() { set_command(VIRTIO_BALLOON_CMD_ID_DONE); }

  // VirtioDevice

  [[nodiscard]] std::uint32_t device_id() const override { return VIRTIO_ID_BALLOON; }
  [[nodiscard]] std::uint64_t features() const override { return features_; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kQueueSizes; }
  void attach(Driver<M>& driver) override { driver_ = &driver; }

  [[nodiscard]] std::span<const std::byte> config() const override {
    return std::as_bytes(std::span(&state_.config, 1));
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset,
                                          std::span<const std::byte> bytes) override {
    for (std::size_t i = 0; i < bytes.size(); ++i)
      if (!may_write(offset + i)) return fail(DeviceError::kConfigReadOnly, offset + i);
    std::memcpy(reinterpret_cast<std::byte*>(&state_.config) + offset, bytes.data(), bytes.size());
    return {};
  }

  void start() override {
    started_ = true;
    state_.counts_existing = 0;
    for (std::size_t i = 0; i < kOptionalQueues.size(); ++i)
      if (driver_->queue(static_cast<std::uint16_t>(kStatistics + i)).active() &&
          !driver_->has(kOptionalQueues[i]))
        state_.counts_existing = 1;
  }

  [[nodiscard]] Result<bool> serve(std::uint16_t queue) override {
    switch (role(queue)) {
      case kInflate:
      case kDeflate:
        return answer_each(queue, [&](const auto& chain) { return move_pages(queue, chain); });
      case kStatistics:
        return take_statistics();
      case kFreePage:
        return answer_each(queue, [&](const auto& chain) { return take_hints(chain); });
      case kReporting:
        return answer_each(queue, [&](const auto& chain) { return take_report(chain); });
      default:
        return answer_each(queue, [&](const auto& chain) -> Result<void> {
          if (chain.fault()) return std::unexpected(*chain.fault());
          return fail(BalloonError::kNoQueue, queue, driver_->features());
        });
    }
  }

  void stop_queue(std::uint16_t queue) override {
    if (queue != kStatistics) return;
    put_back();
    state_.statistics_seen = 0;
  }
  void settle() override { put_back(); }
  void reset() override {
    put_back();
    const auto target = state_.config.num_pages;
    const auto last_command = state_.last_command;
    state_ = {};
    state_.config.num_pages = target;
    state_.last_command = last_command;
    wanted_ = started_ = false;
  }

  [[nodiscard]] Result<bool> host_ready() override {
    if (!std::exchange(wanted_, false) || !driver_->has(VIRTIO_BALLOON_F_STATS_VQ)) return false;
    const auto more = take_statistics();
    if (!more || !kept_) return more;
    if (const auto done = return_kept(); !done) return std::unexpected(done.error());
    if (driver_->queue(kStatistics).needs_notification()) driver_->notify_used(kStatistics);
    return more;
  }

  [[nodiscard]] Result<void> save(std::vector<std::byte>& out) override {
    const auto bytes = std::as_bytes(std::span(&state_, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
    return {};
  }
  [[nodiscard]] Result<void> restore(std::span<const std::byte> bytes) override {
    State state;
    if (bytes.size() != sizeof state)
      return fail(DeviceStateError::kLength, bytes.size(), sizeof state);
    std::memcpy(static_cast<void*>(&state), bytes.data(), sizeof state);
    if (const auto ok = check(state); !ok) return ok;
    state_ = state;
    return {};
  }

 private:
  /// By the numbers of §5.5.2.
  enum Role : std::uint16_t { kInflate, kDeflate, kStatistics, kFreePage, kReporting, kNone };
  /// What the queues from kStatistics on exist with.
  static constexpr std::array kOptionalQueues{
      VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_FREE_PAGE_HINT, VIRTIO_BALLOON_F_PAGE_REPORTING};
  /// Linux puts up to 32 buffers into a report, and refuses to report where they do not fit.
  static constexpr std::array<std::uint16_t, 5> kQueueSizes{64, 64, 64, 64, 64};

  /// All that is saved.
  struct State {
    BalloonConfig config;          // 0
    le32 last_command;             // 16: the command ID that was given last; 0: none was
    std::uint8_t counts_existing;  // 20: 1 when queues are counted as Linux does
    std::uint8_t hinting;          // 21: 1 when the driver's last command was the device's
    std::uint8_t statistics_seen;  // 22: 1 when those in the next buffer of statsq are old
    std::uint8_t reserved;         // 23
  };
  static_assert(sizeof(State) == 24 && offsetof(State, last_command) == 16 &&
                offsetof(State, reserved) == 23);

  [[nodiscard]] Role role(std::uint16_t queue) const {
    if (queue < kStatistics) return Role{queue};
    std::uint16_t number = kStatistics;
    for (std::size_t i = 0; i < kOptionalQueues.size(); ++i) {
      const bool exists = driver_->has(kOptionalQueues[i]);
      if (exists && number == queue) return Role(kStatistics + i);
      if (exists || state_.counts_existing == 0) ++number;
    }
    return kNone;
  }

  /// A turn in which each chain is returned once `answer(chain)` has said what was wrong with it.
  template <class Answer>
  [[nodiscard]] Result<bool> answer_each(std::uint16_t queue, Answer&& answer) {
    return take_turn(*driver_, queue, [&](Chain<VirtQueue<M>> chain) {
      if (const auto done = answer(chain); !done) driver_->refused(queue, done.error());
      return chain.complete(0);
    });
  }

  [[nodiscard]] Result<void> move_pages(std::uint16_t queue, const Chain<VirtQueue<M>>& chain) {
    if (const auto read = read_page_numbers(chain, numbers_); !read) return read;
    return visit_runs(chain.memory(), numbers_, [&](const PageRange& pages) {
      return queue == kInflate ? backend_.inflate(pages) : backend_.deflate(pages);
    });
  }

  [[nodiscard]] Result<void> take_report(const Chain<VirtQueue<M>>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) return fail(BalloonError::kReadable, chain.readable_bytes());
    if (chain.writable_bytes() == 0) return fail(BalloonError::kNoPages);
    if (state_.config.poison_val != 0) return {};
    return visit_free(chain, [&](const PageRange& range) { return backend_.report(range); });
  }

  [[nodiscard]] Result<void> take_hints(const Chain<VirtQueue<M>>& chain) {
    if (chain.fault()) return std::unexpected(*chain.fault());
    if (chain.readable_bytes() != 0) {
      if (const auto taken = take_command(chain); !taken) return taken;
    } else if (chain.writable_bytes() == 0) {
      return fail(BalloonError::kNoPages);
    }
    if (state_.hinting == 0) return {};
    return visit_free(chain, [&](const PageRange& range) { return backend_.hint(range); });
  }

  [[nodiscard]] Result<void> take_command(const Chain<VirtQueue<M>>& chain) {
    if (chain.readable_bytes() != sizeof(le32))
      return fail(BalloonError::kCommandLength, chain.readable_bytes(), sizeof(le32));
    const auto command = chain.reader().template read_object<le32>();
    if (!command) return std::unexpected(command.error());
    const std::uint32_t current = state_.config.free_page_hint_cmd_id;
    state_.hinting = *command == current && current > VIRTIO_BALLOON_CMD_ID_DONE ? 1 : 0;
    if (state_.hinting != 0 || *command == VIRTIO_BALLOON_CMD_ID_STOP) return {};
    return fail(BalloonError::kCommand, *command, current);
  }

  /// The device-writable buffers: where they lie is all that counts.
  template <class Visit>
  [[nodiscard]] static Result<void> visit_free(const Chain<VirtQueue<M>>& chain, Visit&& visit) {
    for (const auto& buffer : chain.writable()) {
      const auto ok = check_range(chain.memory(), buffer.address, buffer.length, Access::kWrite);
      if (!ok) return ok;
      if (const auto done = visit(PageRange{buffer.address, buffer.length}); !done) return done;
    }
    return {};
  }

  [[nodiscard]] Result<bool> take_statistics() {
    return take_turn(*driver_, kStatistics, [&](Chain<VirtQueue<M>> chain) -> Result<void> {
      if (kept_) {
        driver_->refused(kStatistics, Error(BalloonError::kStatisticsTwice));
        if (const auto done = return_kept(); !done) return done;
      }
      if (chain.fault()) {
        driver_->refused(kStatistics, *chain.fault());
        return chain.complete(0);
      }
      if (std::exchange(state_.statistics_seen, std::uint8_t{0}) == 0) note_statistics(chain);
      kept_.emplace(std::move(chain));
      return {};
    });
  }

  void note_statistics(const Chain<VirtQueue<M>>& chain) {
    if (const auto statistics = read_statistics(chain))
      backend_.statistics(*statistics);
    else
      driver_->refused(kStatistics, statistics.error());
  }

  [[nodiscard]] Result<void> return_kept() {
    const auto done = kept_->complete(0);
    kept_.reset();
    return done;
  }
  /// The buffer that is kept becomes the next one again: it is the last that was taken.
  void put_back() {
    if (!kept_) return;
    GUESTPROOF_INVARIANT(kept_->put_back());
    kept_.reset();
    state_.statistics_seen = 1;
  }

  void set_command(std::uint32_t command) {
    state_.config.free_page_hint_cmd_id = command;
    state_.hinting = 0;
    driver_->config_changed();
  }

  [[nodiscard]] bool may_write(std::size_t byte) const {
    if (byte / 4 == offsetof(BalloonConfig, actual) / 4) return true;
    return byte / 4 == offsetof(BalloonConfig, poison_val) / 4 &&
           driver_->has(VIRTIO_BALLOON_F_PAGE_POISON) && !started_;
  }

  /// Errors: DeviceStateError::kDevice.
  [[nodiscard]] Result<void> check(const State& state) const {
    const auto wrong = [](std::uint64_t value, std::size_t offset) {
      return fail(DeviceStateError::kDevice, value, offset);
    };
    const std::uint32_t command = state.config.free_page_hint_cmd_id;
    const bool given = command > VIRTIO_BALLOON_CMD_ID_DONE;
    if (given && command != state.last_command)
      return wrong(command, offsetof(BalloonConfig, free_page_hint_cmd_id));
    if (state.config.poison_val != 0 && !driver_->has(VIRTIO_BALLOON_F_PAGE_POISON))
      return wrong(state.config.poison_val, offsetof(BalloonConfig, poison_val));
    if (state.last_command == 1) return wrong(state.last_command, offsetof(State, last_command));
    if (state.counts_existing > 1)
      return wrong(state.counts_existing, offsetof(State, counts_existing));
    if (state.hinting > 1 || (state.hinting == 1 && !given))
      return wrong(state.hinting, offsetof(State, hinting));
    if (state.statistics_seen > 1)
      return wrong(state.statistics_seen, offsetof(State, statistics_seen));
    if (state.reserved != 0) return wrong(state.reserved, offsetof(State, reserved));
    return {};
  }

  BalloonBackend& backend_;
  std::uint64_t features_;
  Driver<M>* driver_ = nullptr;
  State state_{};
  bool wanted_ = false;  // statistics, by the host
  bool started_ = false;
  std::vector<le32> numbers_;
  std::optional<Chain<VirtQueue<M>>> kept_;  // the buffer of statistics
};

}  // namespace guestproof::virtio::balloon
