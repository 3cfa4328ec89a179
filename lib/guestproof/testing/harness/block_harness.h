// The block device under test, on a disk of 32 sectors that can fail. Target: block.
//
// A `request` record, for a device of capacity c:
//   kind    modulo 9: IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES, SECURE_ERASE, GET_LIFETIME, or
//           a type of no meaning, 0x80000000 + next (raw: next itself)
//   value   IN and OUT: the sector, brought to where the data fit; GET_ID: the sector, which means
//           nothing; DISCARD and the like: the sector of the first segment, brought to where it
//           fits, the others follow it
//   length  IN and OUT: bytes of data, rounded up to sectors; at least 1, at most 8 of them;
//           DISCARD and the like: num_sectors of every segment, at least 1, at most the maximum
//   extra   DISCARD and the like: one less than the number of segments, modulo the maximum and
//           modulo as many as the disk has room for
//   next    WRITE_ZEROES: bit 0 is the unmap flag; OUT: where in a pattern the data start
//   address where the data lie; the data of an OUT are a pattern only where this is left to the
//           harness, and what the guest has there otherwise
//   cut, flags  how the request is cut into descriptors, see RequestShape
//
// With flag raw the guest means what it says, right or wrong:
//   value, length  as they are; GET_ID and FLUSH: length is the room for data
//   extra   modulo 2048: IN, GET_ID: bytes of readable data; OUT: bytes of room for data; DISCARD
//           and the like: bytes of the array of segments, of which at most 512 are written
//   next    DISCARD and the like: flags of every segment
//   index   bits 0-4: so many bytes of the header are missing, modulo 17; bit 5: there is no
//           status; bit 6: the segments do not follow each other but are all the same
//
// A `backend` record: what the storage does from now on, or the device replaced by one of another
// configuration; see BackendKind. Bytes count modulo the size of the disk + 1, sectors modulo its
// sectors + 1. With address=raw, `value` of a request is the address as well.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/harness/disk_backend.h"
#include "guestproof/testing/harness/harness.h"
#include "guestproof/testing/model/block_model.h"
#include "guestproof/virtio/device/block/engine.h"

namespace guestproof::testing {

class BlockHarness : public Harness {
 public:
  /// Of a `backend` record, modulo their number; with what its value means.
  enum class BackendKind : std::uint8_t {
    kSound,           // nothing fails any more
    kReadError,       // reading fails from this byte on
    kWriteError,      // writing fails from this byte on
    kEnd,             // the storage ends at this byte
    kShortTransfers,  // a transfer moves at most value modulo 1024 bytes; 0: as many as it likes
    kFlushError,      // flushing fails
    kRangeError,      // ranges that pass this byte cannot be discarded, zeroed or erased
    kFeatures,        // the features of these bits are turned over, size_max and seg_max left out
    kCapacity,        // in sectors
    kSizeMax,         // modulo 4096; 0: not negotiated
    kSegMax,          // modulo 16; 0: not negotiated
    kSegmentLimits,   // at most 1 + value modulo 16 segments, of at most value / 16 modulo 64
                      // sectors
    kMayUnmap,        // write zeroes may unmap when the value is odd
  };
  static constexpr std::size_t kBackendKinds = 13;

  /// On a DiskBackend. Or on another back end of ModelDisk::kBytes bytes, which no fault of a
  /// `backend` record reaches: a derived harness resets it and compares it with model_disk().
  explicit BlockHarness(virtio::block::Backend* other = nullptr);

  [[nodiscard]] std::string_view name() const override { return "block"; }

 protected:
  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  void backend(const Record& record) override;
  void compare_outside_memory() override;

  /// What the device under test stores its sectors in, if not in another back end.
  [[nodiscard]] DiskBackend& storage() { return backend_; }
  [[nodiscard]] ModelDisk& model_disk() { return model_.disk; }

 private:
  using Config = virtio::block::Config;
  using Outcome = virtio::block::Outcome;
  struct TypeCounters {
    std::uint32_t type = 0;
    Depth::Index executed = 0;
    std::array<Depth::Index, 3> by_status{};
  };

  /// `optional`: the type needs a feature, or may ask for what is not supported.
  void add_type(const std::string& name, std::uint32_t type, bool optional);
  void configure(const Config& config);
  void set_fault(BackendKind kind, std::uint64_t value);
  void ask_properly(const Record& record, virtio::block::VirtioBlkReq& header, RequestShape& shape);
  void ask_raw(const Record& record, std::uint32_t type, RequestShape& shape);
  void compare(const Outcome& outcome, const BlockModelAnswer& answer);
  void count_outcome(const Outcome& outcome, bool executed);

  Config config_;
  bool reconfigured_ = false;  // config_ is not the default one
  DiskBackend backend_{world().device()};
  virtio::block::ImmediateBackend device_backend_;
  std::optional<virtio::block::Engine<WatchedQueue>> device_;
  BlockModel model_;
  std::vector<BlockModelAnswer> answers_;  // of the model, in this step
  std::array<virtio::block::VirtioBlkDiscardWriteZeroes, 32> segments_{};  // of the last request

  std::vector<TypeCounters> types_;
  Depth::Index turns_, unknown_, in_data_, out_data_;
};

}  // namespace guestproof::testing
