// A block request, parsed in one pass over a chain: what the driver wants, whether it may have it,
// and where the answer goes. Nothing is executed here; see engine.h.
//
// How the driver cut the request into descriptors does not matter (§2.7.4.2): the readable bytes
// of the chain, joined, are the header and then the readable data; the writable bytes, joined, are
// the writable data and then the status, which is the very last writable byte. The header is
// fetched once. With R readable and W writable bytes, the readable data are R − 16 bytes and the
// writable data W − 1 bytes.
//
// The checks, in this order; the first one that fails decides, what follows is not looked at.
//
// A. No place to answer: parse() fails, nothing is executed, the chain is returned with length 0.
//    1. the chain is malformed, or stale                its fault(): ChainError, kStaleChain
//    2. W = 0                                           kNoStatus(R, 0)
//    3. the status byte is not writable guest memory    MemoryError
//
// B. Refused (Request::refusal): nothing is executed, the answer is the status of status_of().
//    4. R < 16                                          kHeaderTooShort(R, 16)          IOERR
//    5. the header is not in guest memory               MemoryError                     IOERR
//    6. the type is none of IN, OUT, FLUSH, GET_ID,     kUnsupportedType(type, 0)       UNSUPP
//       DISCARD, WRITE_ZEROES, SECURE_ERASE
//    7. FLUSH, DISCARD, WRITE_ZEROES or SECURE_ERASE    kFeatureNotNegotiated           UNSUPP
//       without its feature                               (type, feature bit)
//    8. OUT, DISCARD, WRITE_ZEROES or SECURE_ERASE on   kReadOnly(type, 0)              IOERR
//       a read-only device
//    9. IN, GET_ID: R > 16                              kUnexpectedReadable(R − 16, 0)  IOERR
//       OUT, DISCARD, WRITE_ZEROES, SECURE_ERASE:       kUnexpectedWritable(W − 1, 0)   IOERR
//       W > 1
//   10. by type, "data" being the data in its direction:
//       IN, OUT:
//         data not a multiple of 512 (0 is one)         kDataLength(data, 512)          IOERR
//         sector + data / 512 > capacity                kBeyondCapacity                 IOERR
//                                                         (sector, capacity)
//         VIRTIO_BLK_F_SEG_MAX, too many data buffers   kSegMax(buffers, seg_max)       IOERR
//         VIRTIO_BLK_F_SIZE_MAX, a data buffer too long kSizeMax(the longest, size_max) IOERR
//       FLUSH: sector not 0                             kFlushSector(sector, 0)         IOERR
//         Data in either direction are neither read nor written: drivers only SHOULD NOT have any.
//       GET_ID: data not exactly 20 bytes               kIdLength(data, 20)             IOERR
//       DISCARD, WRITE_ZEROES, SECURE_ERASE:
//         data 0 or not a multiple of 16                kSegmentsLength(data, 16)       IOERR
//         more segments than the type's maximum         kTooManySegments                IOERR
//                                                         (segments, maximum)
//    A data buffer, for 10, is the part of one descriptor's buffer that holds data: not the header,
//    not the status, and never of length 0.
//    The sector is looked at for IN, OUT and FLUSH only, `reserved` never.
//
// C. A segment array is fetched once, whole, when the request is executed; then check_segments():
//   11. the array is not in guest memory                MemoryError                     IOERR
//   12. in any segment, a flag other than unmap in      kSegmentFlags(flags, 1 or 0)    UNSUPP
//       WRITE_ZEROES, any flag in the other two
//       (for SECURE_ERASE the specification defines no flag: unmap is unknown there)
//   13. segment by segment:
//         num_sectors above the type's maximum          kSegmentSectors(num, maximum)   IOERR
//         sector + num_sectors > capacity               kBeyondCapacity                 IOERR
//                                                         (sector, capacity)
//       A segment of 0 sectors is legal.
//   14. num_sectors of all segments > capacity          kSegmentsTotal(sum, capacity)   IOERR
//       Segments may overlap, but 256 times the whole disk is nothing that a driver needs: one
//       request makes the device write no more than the disk holds.
//    Check 12 looks at all segments before 13 looks at the first: unknown flags MUST be answered
//    UNSUPP (§5.2.6.2). Nothing is executed unless all segments pass.
//
// Thread-safety: values.
// Specification: virtio 1.3 §5.2.6. Not here: GET_LIFETIME and zoned requests, which need features
// that this device does not have, and legacy SCSI requests: all are of unsupported type.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "guestproof/memory/guest_memory.h"
#include "guestproof/virtio/device/block/config.h"
#include "guestproof/virtio/device/block/error.h"
#include "guestproof/virtio/device/block/wire.h"
#include "guestproof/virtio/queue/chain.h"

namespace guestproof::virtio::block {

/// The status byte that answers a request which failed with `error`: UNSUPP for kUnsupportedType,
/// kFeatureNotNegotiated and kSegmentFlags, IOERR for everything else.
[[nodiscard]] std::uint8_t status_of(const Error& error);

/// OUT, DISCARD, WRITE_ZEROES and SECURE_ERASE.
[[nodiscard]] constexpr bool changes_data(std::uint32_t type) {
  return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
         type == VIRTIO_BLK_T_WRITE_ZEROES || type == VIRTIO_BLK_T_SECURE_ERASE;
}

/// The buffers of a chain, whatever queue and memory it is from.
struct RequestBuffers {
  std::span<const Buffer> readable;
  std::span<const Buffer> writable;
  std::uint64_t readable_bytes = 0;
  std::uint64_t writable_bytes = 0;
};

/// Checks 6 to 10. REQUIRES: at least 16 readable bytes and 1 writable one.
[[nodiscard]] Result<void> check_request(const VirtioBlkReq& header, const RequestBuffers& buffers,
                                         const Config& config);

/// Checks 12 to 14. REQUIRES: `type` is DISCARD, WRITE_ZEROES or SECURE_ERASE.
[[nodiscard]] Result<void> check_segments(std::uint32_t type,
                                          std::span<const VirtioBlkDiscardWriteZeroes> segments,
                                          const Config& config);

template <GuestMemory M>
struct Request {
  /// Nothing when it could not be read; there is a refusal then.
  std::optional<VirtioBlkReq> header;
  /// Why the request is answered without being executed.
  std::optional<Error> refusal;
  /// The readable data; the header is behind it.
  Reader<M> readable;
  /// The writable data, and the status byte after them.
  Writer<M> writable;
  /// The status byte.
  typename M::Slice status;

  /// The bytes of writable data.
  [[nodiscard]] std::uint64_t answer_bytes() const { return writable.remaining() - 1; }
};

/// The slice of the last writable byte. REQUIRES: `writable` is not empty.
template <GuestMemory M>
[[nodiscard]] Result<typename M::Slice> find_status(const M& memory,
                                                    std::span<const Buffer> writable) {
  const auto& last = writable.back();
  const auto address = last.address.checked_add(last.length - 1);
  if (!address) return fail(MemoryError::kAddressOverflow, last.address.raw(), last.length - 1);
  return memory.find(*address, 1, Access::kWrite);
}

/// Checks 4 to 10. One result, built where the caller wants it: copies of it would be most of the
/// cost of parsing.
template <GuestMemory M>
[[nodiscard]] Result<Request<M>> parse_answerable(const M& memory, const RequestBuffers& buffers,
                                                  const typename M::Slice& status,
                                                  const Config& config) {
  Result<Request<M>> request(std::in_place, std::nullopt, std::nullopt,
                             Reader<M>(memory, buffers.readable, buffers.readable_bytes),
                             Writer<M>(memory, buffers.writable, buffers.writable_bytes), status);
  auto& header = request->header;
  auto& refusal = request->refusal;
  if (buffers.readable_bytes < sizeof(VirtioBlkReq)) [[unlikely]] {
    refusal.emplace(BlockError::kHeaderTooShort, buffers.readable_bytes, sizeof(VirtioBlkReq));
    return request;
  }
  header.emplace();
  const auto read = request->readable.read(std::as_writable_bytes(std::span(&*header, 1)));
  if (!read) [[unlikely]] {
    header.reset();
    refusal = read.error();
  } else if (const auto ok = check_request(*header, buffers, config); !ok) [[unlikely]] {
    refusal = ok.error();
  }
  return request;
}

/// Allocates nothing. Errors: those of A above.
template <class Queue>
[[nodiscard]] Result<Request<typename Queue::Memory>> parse(const Chain<Queue>& chain,
                                                            const Config& config) {
  if (chain.fault()) [[unlikely]]
    return std::unexpected(*chain.fault());
  const RequestBuffers buffers{chain.readable(), chain.writable(), chain.readable_bytes(),
                               chain.writable_bytes()};
  if (buffers.writable.empty()) [[unlikely]]
    return fail(BlockError::kNoStatus, buffers.readable_bytes);
  const auto& memory = chain.memory();
  const auto status = find_status(memory, buffers.writable);
  if (!status) [[unlikely]]
    return std::unexpected(status.error());
  return parse_answerable(memory, buffers, *status, config);
}

}  // namespace guestproof::virtio::block
