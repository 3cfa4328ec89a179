// The block requests that records stand for, as drivers make them and as they should not.
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
// Thread-safety: none.
#pragma once

#include <array>
#include <optional>

#include "guestproof/testing/harness/harness.h"
#include "guestproof/virtio/device/block/config.h"

namespace guestproof::testing {

class BlockRequests {
 public:
  /// What a record asks of a device of this configuration, with its data at `data`, or where they
  /// come next. Valid until the next call.
  [[nodiscard]] RequestShape shape(const Record& record, const virtio::block::Config& config,
                                   std::optional<GuestAddress> data);

 private:
  void ask_properly(const Record& record, const virtio::block::Config& config, RequestShape& shape);
  void ask_raw(const Record& record, RequestShape& shape);

  virtio::block::VirtioBlkReq header_{};
  std::array<virtio::block::VirtioBlkDiscardWriteZeroes, 32> segments_{};
};

}  // namespace guestproof::testing
