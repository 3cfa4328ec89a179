#include "guestproof/testing/harness/block_device_harness.h"

#include <errno.h>

#include <string>

namespace guestproof::testing {
namespace {

using namespace virtio::block;

/// The configuration space that a driver should see, number by number.
std::vector<std::uint8_t> expected_space() {
  std::vector<std::uint8_t> space;
  const auto put = [&](std::size_t bytes, std::uint64_t number) {
    for (std::size_t i = 0; i < bytes; ++i)
      space.push_back(static_cast<std::uint8_t>(number >> 8 * i));
  };
  put(8, ModelDisk::kSectors);
  put(4, 3584);  // size_max
  put(4, 7);     // seg_max
  put(2, 2);     // cylinders
  put(1, 4);     // heads
  put(1, 4);     // sectors
  put(4, 1024);  // blk_size
  put(1, 2);     // physical_block_exp
  put(1, 1);     // alignment_offset
  put(2, 4);     // min_io_size
  put(4, 8);     // opt_io_size
  put(1, 0);     // writeback
  put(1, 0);
  put(2, 2);   // num_queues
  put(4, 16);  // discard
  put(4, 4);
  put(4, 2);
  put(4, 12);  // write zeroes
  put(4, 3);
  put(1, 1);
  put(3, 0);
  put(4, 8);  // secure erase
  put(4, 2);
  put(4, 6);
  return space;
}

}  // namespace

Offer BlockDeviceHarness::make_offer() {
  Offer offer;
  auto& config = offer.config;
  config.capacity = ModelDisk::kSectors;
  config.features = kKnownFeatures & ~virtio::feature_bit(VIRTIO_BLK_F_RO);
  config.id = device_id("two queues");
  config.size_max = 3584;
  config.seg_max = 7;
  config.discard = {.max_sectors = 16, .max_segments = 4};
  config.write_zeroes = {.max_sectors = 12, .max_segments = 3};
  config.secure_erase = {.max_sectors = 8, .max_segments = 2};
  config.write_zeroes_may_unmap = true;
  offer.queues = kQueues;
  offer.queue_size = kMaxSize;
  offer.cylinders = 2;
  offer.heads = offer.sectors = 4;
  offer.topology = {.logical_block_bytes = 1024,
                    .physical_block_bytes = 4096,
                    .alignment_bytes = 1024,
                    .minimum_io_bytes = 4096,
                    .optimal_io_bytes = 8192};
  offer.discard_alignment = 2;
  offer.secure_erase_alignment = 6;
  return offer;
}

BlockModelSetup BlockDeviceHarness::make_setup(const Offer& offer) {
  BlockModelSetup setup;
  setup.id = offer.config.id;
  setup.discard = {.max_sectors = 16, .max_segments = 4};
  setup.write_zeroes = {.max_sectors = 12, .max_segments = 3};
  setup.secure_erase = {.max_sectors = 8, .max_segments = 2};
  setup.may_unmap = true;
  setup.size_max = 3584;
  setup.seg_max = 7;
  return setup;
}

BlockDeviceHarness::BlockDeviceHarness(std::byte discarded)
    : DeviceHarness(kQueues),
      model_(*this, offer_.config.features, {kMaxSize, kMaxSize}, expected_space(),
             make_setup(offer_), SlowDisk::kDepth) {
  disk_.disk.discarded = model_.requests.disk.discarded = discarded;
  connect(*device_, model_);
  by_status_ = {depth_.add("request:ok"), depth_.add("request:ioerr"),
                depth_.add("request:unsupp")};
  unanswerable_ = depth_.add("request:unanswerable");
  data_ = depth_.add("request:data");
  together_ = depth_.add("disk:several_in_flight");
  overtaken_ = depth_.add("disk:overtaken");
  no_room_ = depth_.add("device:no_room");
  short_ = depth_.add("disk:goes_on_later");
  ended_by_ = {depth_.add("ended_by:queue_reset"), depth_.add("ended_by:reset"),
               depth_.add("ended_by:save"), depth_.add("ended_by:memory_access")};
}

/// What a program before this one left in flight is gone: nothing of it reaches memory any more.
void BlockDeviceHarness::reset_device() {
  for (std::size_t i = 0; i < lanes(); ++i) lane(i).queue->reset();
  backend_.fail_all(Error(SystemError::kRead, ECANCELED));
  model_.forget();
  lifecycle().reset();
  lifecycle_model().reset();
  disk_.disk.reset();
  disk_.transfer_limit = SIZE_MAX;
  model_.requests.disk.reset();
  model_.transfer_limit = UINT64_MAX;
  backend_.slow = model_.slow = false;
}

void BlockDeviceHarness::request(Lane& lane, const Record& record) {
  publish_request(lane, requests_.shape(record, offer_.config, address_of(lane, record)));
}

DeviceHarness::Turn BlockDeviceHarness::serve_model(Lane& lane, std::uint32_t looks) {
  if (!lane.model.active()) return {};
  const auto queue = index_of(lane);
  const auto turn = model_turn(
      lane, looks, [&] { return model_.room(); },
      [&](const ModelChain& chain) -> std::optional<std::uint32_t> {
        model_.take(queue, chain);
        return std::nullopt;
      });
  model_.set_waits(queue, !model_.room());
  if (!model_.room()) depth_.count(no_room_);
  if (model_.pending() > 1) depth_.count(together_);
  return turn;
}

DeviceHarness::Turn BlockDeviceHarness::serve_host_model() {
  const auto before = model_.pending();
  if (const auto index = std::exchange(chosen_, std::nullopt)) {
    if (*index != 0) depth_.count(overtaken_);
    model_.complete(*index);
    if (model_.pending() == before) depth_.count(short_);
  }
  model_.notify_all();
  Turn all;
  for (std::size_t i = 0; i < lanes() && model_.room(); ++i) {
    if (!model_.waits(i)) continue;
    const auto turn = serve_model(lane(i), lane(i).model.setup().size + 1U);
    if (!lane(i).model.broken().none()) return {};
    all.more |= turn.more;
    if (turn.more) model_.set_waits(i, true);
  }
  return all;
}

void BlockDeviceHarness::host_event(std::uint8_t kind, const Record& record) {
  if (kind == kDiskFaults) {
    backend_.slow = model_.slow = (record.value & 1) != 0;
    return;
  }
  disk_.set_fault(static_cast<DiskFault>(kind), record.value, model_.requests.disk);
  model_.transfer_limit = disk_.transfer_limit;
}

void BlockDeviceHarness::complete(const Record& record) {
  if (model_.pending() == 0 || !lifecycle_model().running()) return;
  const auto index = record.index % model_.pending();
  chosen_ = index;
  backend_.choose(index);
  host_ready();
}

void BlockDeviceHarness::compare_devices() {
  if (const auto sector = disk_.disk.first_difference(model_.requests.disk))
    violated(kModelAgreement,
             "sector " + std::to_string(*sector) + " of the disk is not what the model says");
  const auto same = [](const char* what, std::uint64_t device, std::uint64_t model) {
    if (device != model)
      violated(kModelAgreement, std::string(what) + ": " + std::to_string(device) +
                                    " of the device, " + std::to_string(model) + " of the model");
  };
  same("flushes", disk_.disk.flushes(), model_.requests.disk.flushes());
  same("operations in flight", backend_.pending().size(), model_.pending());
  if (!backend_.dispatched()) violated(kLiveness, "an operation was submitted and never begun");
}

void BlockDeviceHarness::settle_model(Settle why) {
  model_.drain(why == Settle::kSave ? BlockModelEnd::kSave : BlockModelEnd::kMemoryAccess);
  model_.notify_all();
  model_.serve_waiting();
}

std::uint64_t BlockDeviceHarness::agreed_features() const {
  const auto& life = const_cast<BlockDeviceHarness*>(this)->lifecycle_model();
  return (life.status & virtio::VIRTIO_STATUS_FEATURES_OK) != 0 ? life.accepted : 0;
}

void BlockDeviceHarness::answered(std::size_t queue, const ModelChain& chain,
                                  const BlockModelAnswer& answer) {
  lane(queue).model.give_back(chain, answer.used);
  if (!answer.error.none()) expect_refusal(answer.error);
  depth_.count(answer.status ? by_status_[*answer.status] : unanswerable_);
  if (answer.bytes != 0) depth_.count(data_);
}

void BlockDeviceHarness::ends_early(BlockModelEnd why) {
  depth_.count(ended_by_.at(static_cast<std::size_t>(why)));
}

void BlockDeviceHarness::again(std::size_t queue) { lifecycle_model().again(queue); }

void BlockDeviceHarness::notify(std::size_t queue) { static_cast<void>(end_turn(lane(queue))); }

}  // namespace guestproof::testing
