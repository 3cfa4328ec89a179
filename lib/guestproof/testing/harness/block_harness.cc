#include "guestproof/testing/harness/block_harness.h"

#include <algorithm>

namespace guestproof::testing {
namespace {

using virtio::ChainError;
using virtio::QueueError;
using namespace virtio::block;

constexpr std::uint64_t bit(unsigned feature) { return std::uint64_t{1} << feature; }

/// Different limits for everything, so that none passes for another.
Config default_config() {
  Config config;
  config.capacity = ModelDisk::kSectors;
  config.features = bit(VIRTIO_BLK_F_FLUSH) | bit(VIRTIO_BLK_F_DISCARD) |
                    bit(VIRTIO_BLK_F_WRITE_ZEROES) | bit(VIRTIO_BLK_F_SECURE_ERASE);
  config.id = device_id("a disk of 32 sectors");
  config.discard = {.max_sectors = 16, .max_segments = 4};
  config.write_zeroes = {.max_sectors = 12, .max_segments = 3};
  config.secure_erase = {.max_sectors = 8, .max_segments = 2};
  return config;
}

BlockModelSetup model_setup(const Config& config) {
  const auto ranges = [&](unsigned feature,
                          const SegmentLimits& limits) -> std::optional<BlockModelSetup::Ranges> {
    if (!config.has(feature)) return std::nullopt;
    return BlockModelSetup::Ranges{limits.max_sectors, limits.max_segments};
  };
  BlockModelSetup setup;
  setup.capacity = config.capacity;
  setup.id = config.id;
  setup.read_only = config.read_only;
  setup.flush = config.has(VIRTIO_BLK_F_FLUSH);
  setup.discard = ranges(VIRTIO_BLK_F_DISCARD, config.discard);
  setup.write_zeroes = ranges(VIRTIO_BLK_F_WRITE_ZEROES, config.write_zeroes);
  setup.secure_erase = ranges(VIRTIO_BLK_F_SECURE_ERASE, config.secure_erase);
  setup.may_unmap = config.write_zeroes_may_unmap;
  if (config.has(VIRTIO_BLK_F_SIZE_MAX)) setup.size_max = config.size_max;
  if (config.has(VIRTIO_BLK_F_SEG_MAX)) setup.seg_max = config.seg_max;
  return setup;
}

void set_feature(Config& config, unsigned feature, std::uint32_t& limit, std::uint64_t value) {
  limit = static_cast<std::uint32_t>(value);
  config.features &= ~bit(feature);
  if (value != 0) config.features |= bit(feature);
}

Config changed(Config config, BlockHarness::BackendKind kind, std::uint64_t value) {
  using Kind = BlockHarness::BackendKind;
  switch (kind) {
    case Kind::kFeatures:
      config.features ^= value & ~bit(VIRTIO_BLK_F_SIZE_MAX) & ~bit(VIRTIO_BLK_F_SEG_MAX);
      config.read_only = config.has(VIRTIO_BLK_F_RO);
      break;
    case Kind::kCapacity:
      config.capacity = value % (ModelDisk::kSectors + 1);
      break;
    case Kind::kSizeMax:
      set_feature(config, VIRTIO_BLK_F_SIZE_MAX, config.size_max, value % 4096);
      break;
    case Kind::kSegMax:
      set_feature(config, VIRTIO_BLK_F_SEG_MAX, config.seg_max, value % 16);
      break;
    case Kind::kSegmentLimits:
      config.discard = {.max_sectors = static_cast<std::uint32_t>(value / 16 % 64),
                        .max_segments = static_cast<std::uint32_t>(1 + value % 16)};
      config.write_zeroes = config.secure_erase = config.discard;
      break;
    default:
      config.write_zeroes_may_unmap = (value & 1) != 0;
  }
  return config;
}

}  // namespace

BlockHarness::BlockHarness(virtio::block::Backend* other)
    : Harness(1), device_backend_(other != nullptr ? *other : backend_) {
  turns_ = depth_.add("device:more");
  add_type("in", VIRTIO_BLK_T_IN, false);
  add_type("out", VIRTIO_BLK_T_OUT, false);
  add_type("flush", VIRTIO_BLK_T_FLUSH, true);
  add_type("get_id", VIRTIO_BLK_T_GET_ID, false);
  add_type("discard", VIRTIO_BLK_T_DISCARD, true);
  add_type("write_zeroes", VIRTIO_BLK_T_WRITE_ZEROES, true);
  add_type("secure_erase", VIRTIO_BLK_T_SECURE_ERASE, true);
  unknown_ = depth_.add("request:unknown");
  in_data_ = depth_.add("request:in:data");
  out_data_ = depth_.add("request:out:data");
  depth_.add_errors<BlockError>();
  // The device asks for no more bytes than there are.
  depth_.add_errors<ChainError>({ChainError::kReadPastEnd, ChainError::kWritePastEnd});
  // It returns a chain before it takes the next one, with a length that fits.
  depth_.add_errors<QueueError>({QueueError::kHeadInFlight, QueueError::kStaleChain,
                                 QueueError::kUsedLength, QueueError::kChainsInFlight,
                                 QueueError::kNotTakenLast});
  // The others are of the host's own making.
  depth_.add_errors<MemoryError>({MemoryError::kNotContiguous, MemoryError::kRegionEmpty,
                                  MemoryError::kRegionUnaligned, MemoryError::kRegionOverlap,
                                  MemoryError::kRegionPastEnd, MemoryError::kFileTooSmall,
                                  MemoryError::kNoRegions});
  depth_.add_errors<SystemError>({SystemError::kOpen, SystemError::kStat, SystemError::kMap,
                                  SystemError::kTruncate, SystemError::kMemfd,
                                  SystemError::kEventFd, SystemError::kRing, SystemError::kSubmit,
                                  SystemError::kDiscard, SystemError::kWatch});
  configure(default_config());
}

void BlockHarness::add_type(const std::string& name, std::uint32_t type, bool optional) {
  TypeCounters counters{.type = type, .executed = depth_.add("request:" + name), .by_status = {}};
  counters.by_status[VIRTIO_BLK_S_OK] = depth_.add("request:" + name + ":ok");
  counters.by_status[VIRTIO_BLK_S_IOERR] = depth_.add("request:" + name + ":ioerr");
  if (optional) counters.by_status[VIRTIO_BLK_S_UNSUPP] = depth_.add("request:" + name + ":unsupp");
  types_.push_back(counters);
}

void BlockHarness::configure(const Config& config) {
  config_ = config;
  auto device = Engine<WatchedQueue>::create(config_, device_backend_);
  GUESTPROOF_INVARIANT(device);
  device_.emplace(std::move(*device));
  model_.setup = model_setup(config_);
}

void BlockHarness::reset_device() {
  backend_.disk.reset();
  backend_.transfer_limit = SIZE_MAX;
  model_.disk.reset();
  if (std::exchange(reconfigured_, false)) configure(default_config());
}

void BlockHarness::backend(const Record& record) {
  const auto kind = static_cast<BackendKind>(record.kind % kBackendKinds);
  if (kind < BackendKind::kFeatures)
    return backend_.set_fault(static_cast<DiskFault>(kind), record.value, model_.disk);
  configure(changed(config_, kind, record.value));
  reconfigured_ = true;
}

void BlockHarness::request(Lane& lane, const Record& record) {
  publish_request(lane, requests_.shape(record, config_, address_of(lane, record)));
}

Harness::Turn BlockHarness::serve(Lane& lane, std::uint32_t looks) {
  std::size_t position = 0;
  const auto turn = device_->serve(*lane.queue, looks, [&](const Outcome& outcome) {
    if (position == answers_.size())
      violated(kModelAgreement, "the device answered a request that the model did not");
    compare(outcome, answers_[position++]);
  });
  if (position != answers_.size())
    violated(kLiveness, "the device left a request that the model answered");
  return counted(turn, turns_);
}

Harness::Turn BlockHarness::serve_model(Lane& lane, std::uint32_t looks) {
  answers_.clear();
  return model_turn(lane, looks, [&](const ModelChain& chain) {
    answers_.push_back(model_.serve(world().model(), chain));
    return answers_.back().used;
  });
}

void BlockHarness::compare(const Outcome& outcome, const BlockModelAnswer& answer) {
  compare_errors(kModelAgreement, "a request", outcome.error, answer.error);
  const auto say = [](auto number) { return number ? std::to_string(*number) : "none"; };
  if (outcome.type != answer.type || outcome.status != answer.status ||
      outcome.used != answer.used || outcome.bytes != answer.bytes)
    violated(kModelAgreement, "the device says type " + say(outcome.type) + ", status " +
                                  say(outcome.status) + ", " + std::to_string(outcome.bytes) +
                                  " bytes, used length " + std::to_string(outcome.used) +
                                  "; the model type " + say(answer.type) + ", status " +
                                  say(answer.status) + ", " + std::to_string(answer.bytes) +
                                  " bytes, used length " + std::to_string(answer.used));
  count_outcome(outcome, answer.executed);
}

void BlockHarness::count_outcome(const Outcome& outcome, bool executed) {
  if (outcome.error) count(*outcome.error);
  if (!outcome.type) return;
  const auto counters = std::ranges::find(types_, *outcome.type, &TypeCounters::type);
  if (counters == types_.end()) return depth_.count(unknown_);
  if (executed) depth_.count(counters->executed);
  depth_.count(counters->by_status[*outcome.status]);
  if (outcome.bytes != 0 && outcome.type == VIRTIO_BLK_T_IN) depth_.count(in_data_);
  if (outcome.bytes != 0 && outcome.type == VIRTIO_BLK_T_OUT) depth_.count(out_data_);
}

void BlockHarness::compare_outside_memory() {
  if (const auto sector = backend_.disk.first_difference(model_.disk))
    violated(kModelAgreement,
             "sector " + std::to_string(*sector) + " of the disk is not what the model says");
  if (backend_.disk.flushes() != model_.disk.flushes())
    violated(kModelAgreement, "the device flushed " + std::to_string(backend_.disk.flushes()) +
                                  " times, the model " + std::to_string(model_.disk.flushes()) +
                                  " times");
}

}  // namespace guestproof::testing
