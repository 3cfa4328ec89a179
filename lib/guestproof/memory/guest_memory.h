// What the queue, the chain walker and the request parsers ask of guest memory.
//
// Guest memory changes under the reader's feet: another processor of the guest may write any byte
// at any time. It is therefore never exposed as a reference or a span of objects. A *slice* is a
// bounds-checked run of it, contiguous for the host; every load from a slice copies each byte
// exactly once, so what was checked is what is used.
//
// Two models of the concept exist: MappedMemory (production, mmap, dirty tracking) and, over it,
// testing::WatchedMemory (records every fetch and every write, and races the device).
//
// Thread-safety: finding slices is safe from any thread while the memory map does not change; plain
// loads and stores of a slice are volatile (untorn up to eight aligned bytes on the supported
// architectures), the _acquire and _release forms order them.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "guestproof/base/error.h"
#include "guestproof/base/invariant.h"
#include "guestproof/memory/guest_address.h"

namespace guestproof {

enum class MemoryError : std::uint16_t {
  kUnmapped,
  kAddressOverflow,
  kReadOnly,
  kNotContiguous,
  kRegionEmpty,
  kRegionUnaligned,
  kRegionOverlap,
  kRegionPastEnd,
  kFileTooSmall,
  kNoRegions,
};
const ErrorDomain& error_domain(MemoryError);

enum class Access : std::uint8_t { kRead, kWrite };

/// A run of guest memory that is contiguous for the host. A cheap value; valid as long as the
/// memory map it came from. REQUIRES, for all members: offset + size of the access ≤ size().
template <class S>
concept GuestSlice =
    std::copyable<S> && requires(const S s, std::size_t offset, std::size_t length,
                                 std::span<std::byte> out, std::span<const std::byte> in) {
      { s.size() } -> std::same_as<std::size_t>;
      { s.subslice(offset, length) } -> std::same_as<S>;
      { s.template load<std::uint16_t>(offset) } -> std::same_as<std::uint16_t>;
      { s.template load_acquire<std::uint16_t>(offset) } -> std::same_as<std::uint16_t>;
      s.template store<std::uint32_t>(offset, std::uint32_t{});
      s.template store_release<std::uint16_t>(offset, std::uint16_t{});
      s.read(offset, out);
      s.write(offset, in);
      s.fill(offset, length, std::byte{});
      // Host ranges for system calls that copy out of, and into, the whole slice. After a call has
      // written through io_target(), written_by_io() says so: a page that is marked dirty before
      // its bytes arrive can be copied by a migration without them.
      { s.io_source() } -> std::same_as<::iovec>;
      { s.io_target() } -> std::same_as<::iovec>;
      s.written_by_io();
    };

template <class M>
concept GuestMemory =
    requires(const M m, GuestAddress address, std::uint64_t length, Access access) {
      requires GuestSlice<typename M::Slice>;
      /// The longest slice that starts at `address` and has at most `length` bytes; at least one
      /// byte for length > 0, an empty slice for length 0 wherever it points. Errors: kUnmapped,
      /// kReadOnly.
      { m.find(address, length, access) } -> std::same_as<Result<typename M::Slice>>;
    };

/// Calls `visit(slice)` for the host-contiguous parts of [address, address + length), in order.
/// Errors: as find(), kAddressOverflow; `visit` has then seen the parts before the fault.
template <GuestMemory M, std::invocable<typename M::Slice> Visit>
[[nodiscard]] Result<void> for_each_slice(const M& memory, GuestAddress address,
                                          std::uint64_t length, Access access, Visit&& visit) {
  while (length != 0) {
    const auto slice = memory.find(address, length, access);
    if (!slice) return std::unexpected(slice.error());
    visit(*slice);
    length -= slice->size();
    if (length == 0) break;
    const auto next = address.checked_add(slice->size());
    if (!next) return fail(MemoryError::kAddressOverflow, address.raw(), length);
    address = *next;
  }
  return {};
}

/// Succeeds when every byte of [address, address + length) can be accessed.
template <GuestMemory M>
[[nodiscard]] Result<void> check_range(const M& memory, GuestAddress address, std::uint64_t length,
                                       Access access) {
  return for_each_slice(memory, address, length, access, [](const auto&) {});
}

/// All of [address, address + length) as one slice. Errors: as check_range(), kNotContiguous.
template <GuestMemory M>
[[nodiscard]] Result<typename M::Slice> find_contiguous(const M& memory, GuestAddress address,
                                                        std::uint64_t length, Access access) {
  // One variable is returned on every path, so that the caller's is filled and nothing is copied.
  auto slice = memory.find(address, length, access);
  if (slice && slice->size() != length) [[unlikely]] {
    if (const auto all = check_range(memory, address, length, access); !all)
      slice = std::unexpected(all.error());
    else
      slice = fail(MemoryError::kNotContiguous, address.raw(), length);
  }
  return slice;
}

/// Copies guest memory out. On an error `out` holds the bytes before the fault.
template <GuestMemory M>
[[nodiscard]] Result<void> read_bytes(const M& memory, GuestAddress address,
                                      std::span<std::byte> out) {
  return for_each_slice(memory, address, out.size(), Access::kRead,
                        [&](const typename M::Slice& slice) {
                          slice.read(0, out.first(slice.size()));
                          out = out.subspan(slice.size());
                        });
}

/// Copies into guest memory. On an error the bytes before the fault are written.
template <GuestMemory M>
[[nodiscard]] Result<void> write_bytes(const M& memory, GuestAddress address,
                                       std::span<const std::byte> in) {
  return for_each_slice(memory, address, in.size(), Access::kWrite,
                        [&](const typename M::Slice& slice) {
                          slice.write(0, in.first(slice.size()));
                          in = in.subspan(slice.size());
                        });
}

/// Plain data with a layout: what may be copied byte by byte out of guest memory.
template <class T>
concept WireObject = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;

template <WireObject T, GuestMemory M>
[[nodiscard]] Result<T> read_object(const M& memory, GuestAddress address) {
  T object{};
  const auto copied = read_bytes(memory, address, std::as_writable_bytes(std::span(&object, 1)));
  if (!copied) return std::unexpected(copied.error());
  return object;
}

template <WireObject T, GuestMemory M>
[[nodiscard]] Result<void> write_object(const M& memory, GuestAddress address, const T& object) {
  return write_bytes(memory, address, std::as_bytes(std::span(&object, 1)));
}

}  // namespace guestproof
