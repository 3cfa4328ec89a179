// Guest memory as mmap-ed regions: anonymous, memfd (to share with another process) or file-backed.
//
// The map is built once (Builder) and then constant: a changed map is a new MappedMemory, and
// queues are told with remap(). Regions may touch but not overlap; accesses run across regions that
// touch. Ring areas must lie inside one region (find_contiguous), buffers may span regions. On both
// sides of a region lies address space that nothing may touch: who runs past its end (a back end
// with a wrong length, say) faults at once and changes no neighbour. Not here: KVM memory slots
// (the VMM registers regions() with KVM) and memory hot-plug policy.
//
// Thread-safety: constant after build(); all members may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "guestproof/base/error.h"
#include "guestproof/base/fd.h"
#include "guestproof/memory/dirty_bitmap.h"
#include "guestproof/memory/guest_memory.h"
#include "guestproof/memory/volatile_access.h"

namespace guestproof {

/// Bytes of a page of this host: what regions are made of, and what KVM maps and counts in.
[[nodiscard]] std::uint64_t host_page_size();

/// What devices may do with a region.
enum class Protection : std::uint8_t { kReadWrite, kReadOnly };

class MappedSlice {
 public:
  MappedSlice() = default;
  MappedSlice(std::byte* host, std::size_t size, DirtyBitmap* dirty, std::size_t region_offset)
      : host_(host), size_(size), dirty_(dirty), region_offset_(region_offset) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] MappedSlice subslice(std::size_t offset, std::size_t length) const {
    GUESTPROOF_HOT_INVARIANT(range_within(offset, length, size_));
    return {host_ + offset, length, dirty_, region_offset_ + offset};
  }

  template <class T>
  [[nodiscard]] T load(std::size_t offset) const {
    return volatile_access::load<T>(at(offset, sizeof(T)));
  }
  template <class T>
  [[nodiscard]] T load_acquire(std::size_t offset) const {
    return volatile_access::load_acquire<T>(at(offset, sizeof(T)));
  }
  template <class T>
  void store(std::size_t offset, const T& value) const {
    volatile_access::store(at(offset, sizeof(T)), value);
    mark(offset, sizeof(T));
  }
  template <class T>
  void store_release(std::size_t offset, T value) const {
    volatile_access::store_release(at(offset, sizeof(T)), value);
    mark(offset, sizeof(T));
  }
  void read(std::size_t offset, std::span<std::byte> out) const {
    volatile_access::copy_out(out.data(), at(offset, out.size()), out.size());
  }
  void write(std::size_t offset, std::span<const std::byte> in) const {
    volatile_access::copy_in(at(offset, in.size()), in.data(), in.size());
    mark(offset, in.size());
  }
  void fill(std::size_t offset, std::size_t length, std::byte value) const {
    volatile_access::fill(at(offset, length), length, value);
    mark(offset, length);
  }
  [[nodiscard]] ::iovec io_source() const { return {host_, size_}; }
  [[nodiscard]] ::iovec io_target() const { return {host_, size_}; }
  void written_by_io() const { mark(0, size_); }

 private:
  [[nodiscard]] std::byte* at(std::size_t offset, [[maybe_unused]] std::size_t length) const {
    GUESTPROOF_HOT_INVARIANT(range_within(offset, length, size_));
    return host_ + offset;
  }
  void mark(std::size_t offset, std::size_t length) const {
    if (dirty_ != nullptr) dirty_->mark(region_offset_ + offset, length);
  }

  std::byte* host_ = nullptr;
  std::size_t size_ = 0;
  DirtyBitmap* dirty_ = nullptr;
  std::size_t region_offset_ = 0;
};

/// One mapped region. `size` and `base` are multiples of the page size; base + size ≤ 2^64.
class MappedRegion {
 public:
  MappedRegion(MappedRegion&& other) noexcept;
  MappedRegion& operator=(MappedRegion&&) = delete;
  ~MappedRegion();

  [[nodiscard]] GuestAddress base() const { return base_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Protection protection() const { return protection_; }
  /// For KVM_SET_USER_MEMORY_REGION and for sharing; the bytes belong to the guest.
  [[nodiscard]] std::byte* host() const { return host_; }
  /// The file behind the region, -1 for anonymous memory, and where the region starts in it.
  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] std::uint64_t file_offset() const { return file_offset_; }
  /// Null when dirty tracking is off.
  [[nodiscard]] DirtyBitmap* dirty() const { return dirty_.get(); }

 private:
  friend class MappedMemory;
  MappedRegion(GuestAddress base, std::uint64_t size, Protection protection)
      : base_(base), size_(size), protection_(protection) {}

  GuestAddress base_;
  std::uint64_t size_;
  Protection protection_;
  std::byte* host_ = nullptr;
  Fd file_;
  std::uint64_t file_offset_ = 0;
  std::unique_ptr<DirtyBitmap> dirty_;
};

class MappedMemory {
 public:
  using Slice = MappedSlice;
  class Builder;

  [[nodiscard]] Result<MappedSlice> find(GuestAddress address, std::uint64_t length,
                                         Access access) const {
    if (length == 0) return MappedSlice{};
    for (const auto& span : spans_) {
      const auto offset =
          address.raw() - span.base;  // wraps to a huge offset for addresses below the base
      if (offset >= span.size) continue;
      if (access == Access::kWrite && span.read_only)
        return fail(MemoryError::kReadOnly, address.raw());
      return MappedSlice(span.host + offset, std::min<std::uint64_t>(length, span.size - offset),
                         span.dirty, offset);
    }
    return fail(MemoryError::kUnmapped, address.raw(), length);
  }

  /// Sorted by address.
  [[nodiscard]] std::span<const MappedRegion> regions() const { return regions_; }

 private:
  /// What find() needs of a region, packed so that the search touches few cache lines.
  struct Span {
    std::uint64_t base;
    std::uint64_t size;
    std::byte* host;
    DirtyBitmap* dirty;
    bool read_only;
  };
  explicit MappedMemory(std::vector<MappedRegion> regions);
  [[nodiscard]] static Result<void> map(MappedRegion& region);

  std::vector<MappedRegion> regions_;
  std::vector<Span> spans_;
};
static_assert(GuestMemory<MappedMemory>);

/// Collects regions, then maps them all or none:
///   auto memory = MappedMemory::Builder().anonymous(GuestAddress(0), 256 <<
///   20).track_dirty_pages().build();
class MappedMemory::Builder {
 public:
  /// All bytes 0. Read-only memory is filled through MappedRegion::host(), as a ROM is.
  Builder& anonymous(GuestAddress base, std::uint64_t size,
                     Protection protection = Protection::kReadWrite);
  /// A sealed-size memfd of its own, shared: another process can map it.
  Builder& memfd(GuestAddress base, std::uint64_t size);
  /// `size` bytes of `file` from `offset` (page-aligned), shared with the file. Whoever may shrink
  /// the file can stop this process: an access past its new end raises SIGBUS. Give a file that
  /// nobody else can write, or one sealed against shrinking, as memfd() is.
  Builder& file(GuestAddress base, std::uint64_t size, Fd file, std::uint64_t offset,
                Protection protection);
  Builder& track_dirty_pages();

  /// Errors: kNoRegions, kRegionEmpty, kRegionUnaligned, kRegionOverlap, kRegionPastEnd,
  /// kFileTooSmall, SystemError.
  [[nodiscard]] Result<MappedMemory> build();

 private:
  enum class Backing : std::uint8_t { kAnonymous, kMemfd, kFile };
  struct Request {
    Backing backing;
    MappedRegion region;
  };
  [[nodiscard]] static Result<void> check(const MappedRegion& region);
  [[nodiscard]] static Result<void> attach_file(Request& request);

  std::vector<Request> requests_;
  bool track_dirty_ = false;
};

}  // namespace guestproof
