#include "guestproof/memory/mapped_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace guestproof {
namespace {

constexpr std::array kMemoryEntries{
    ErrorEntry{MemoryError::kUnmapped, "unmapped",
               "guest address {value:x} is not in memory ({limit} bytes wanted)"},
    ErrorEntry{MemoryError::kAddressOverflow, "address_overflow",
               "the range that goes on for {limit} bytes past {value:x} leaves the address space"},
    ErrorEntry{MemoryError::kReadOnly, "read_only",
               "guest address {value:x} is in read-only memory"},
    ErrorEntry{MemoryError::kNotContiguous, "not_contiguous",
               "the {limit} bytes at guest address {value:x} are not in one memory region"},
    ErrorEntry{MemoryError::kRegionEmpty, "region_empty",
               "the memory region at {value:x} has no bytes"},
    ErrorEntry{MemoryError::kRegionUnaligned, "region_unaligned",
               "{value:x} in a memory region is not a multiple of the page size {limit}"},
    ErrorEntry{MemoryError::kRegionOverlap, "region_overlap",
               "the memory region at {value:x} overlaps the one at {limit:x}"},
    ErrorEntry{
        MemoryError::kRegionPastEnd, "region_past_end",
        "the memory region at {value:x} with {limit:x} bytes passes the end of the address space"},
    ErrorEntry{MemoryError::kFileTooSmall, "file_too_small",
               "a memory region needs {value} bytes of its file, which has {limit}"},
    ErrorEntry{MemoryError::kNoRegions, "no_regions", "a memory map has no regions"},
};
static_assert(error_entries_are_dense(kMemoryEntries));
constexpr ErrorDomain kMemoryDomain{"memory", kMemoryEntries};

// What lies before and behind a region. As much as a huge page, so that the region is aligned to
// huge pages when the kernel aligned the whole; only address space is spent.
constexpr std::uint64_t kGuardBytes = 2 << 20;

std::unexpected<Error> system_failure(SystemError call) {
  return fail(call, static_cast<std::uint64_t>(errno));
}

}  // namespace

std::uint64_t host_page_size() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

const ErrorDomain& error_domain(MemoryError) { return kMemoryDomain; }

MappedRegion::MappedRegion(MappedRegion&& other) noexcept
    : base_(other.base_),
      size_(other.size_),
      protection_(other.protection_),
      host_(std::exchange(other.host_, nullptr)),
      file_(std::move(other.file_)),
      file_offset_(other.file_offset_),
      dirty_(std::move(other.dirty_)) {}

MappedRegion::~MappedRegion() {
  if (host_ != nullptr) ::munmap(host_ - kGuardBytes, size_ + 2 * kGuardBytes);
}

MappedMemory::MappedMemory(std::vector<MappedRegion> regions) : regions_(std::move(regions)) {
  for (const auto& region : regions_)
    spans_.push_back({region.base().raw(), region.size(), region.host(), region.dirty(),
                      region.protection() == Protection::kReadOnly});
}

Result<void> MappedMemory::map(MappedRegion& region) {
  const auto reserved = checked_add(region.size_, 2 * kGuardBytes);
  if (!reserved) return fail(SystemError::kMap, ENOMEM);
  void* start =
      ::mmap(nullptr, *reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return system_failure(SystemError::kMap);
  region.host_ = static_cast<std::byte*>(start) + kGuardBytes;

  const bool from_file = region.file_.valid();
  // A read-only file has its bytes already; anonymous memory gets them through host().
  const bool host_reads_only = from_file && region.protection_ == Protection::kReadOnly;
  if (::mmap(region.host_, region.size_, host_reads_only ? PROT_READ : PROT_READ | PROT_WRITE,
             (from_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) | MAP_FIXED | MAP_NORESERVE,
             region.file_.get(), static_cast<off_t>(region.file_offset_)) == MAP_FAILED)
    return system_failure(SystemError::kMap);
  return {};
}

MappedMemory::Builder& MappedMemory::Builder::anonymous(GuestAddress base, std::uint64_t size,
                                                        Protection protection) {
  requests_.push_back({Backing::kAnonymous, MappedRegion(base, size, protection)});
  return *this;
}

MappedMemory::Builder& MappedMemory::Builder::memfd(GuestAddress base, std::uint64_t size) {
  requests_.push_back({Backing::kMemfd, MappedRegion(base, size, Protection::kReadWrite)});
  return *this;
}

MappedMemory::Builder& MappedMemory::Builder::file(GuestAddress base, std::uint64_t size, Fd file,
                                                   std::uint64_t offset, Protection protection) {
  requests_.push_back({Backing::kFile, MappedRegion(base, size, protection)});
  requests_.back().region.file_ = std::move(file);
  requests_.back().region.file_offset_ = offset;
  return *this;
}

MappedMemory::Builder& MappedMemory::Builder::track_dirty_pages() {
  track_dirty_ = true;
  return *this;
}

Result<void> MappedMemory::Builder::check(const MappedRegion& region) {
  const auto page = host_page_size();
  if (region.size_ == 0) return fail(MemoryError::kRegionEmpty, region.base_.raw());
  for (const auto quantity : {region.base_.raw(), region.size_, region.file_offset_})
    if (!is_aligned(quantity, page)) return fail(MemoryError::kRegionUnaligned, quantity, page);
  if (!region.base_.checked_add(region.size_ - 1))
    return fail(MemoryError::kRegionPastEnd, region.base_.raw(), region.size_);
  return {};
}

Result<void> MappedMemory::Builder::attach_file(Request& request) {
  auto& region = request.region;
  if (request.backing == Backing::kMemfd) {
    region.file_ = Fd(::memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!region.file_.valid()) return system_failure(SystemError::kMemfd);
    if (::ftruncate(region.file_.get(), static_cast<off_t>(region.size_)) != 0)
      return system_failure(SystemError::kTruncate);
    // A file that shrinks under a mapping turns guest accesses into SIGBUS.
    if (::fcntl(region.file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
      return system_failure(SystemError::kMemfd);
  } else if (request.backing == Backing::kFile) {
    struct stat status{};
    if (::fstat(region.file_.get(), &status) != 0) return system_failure(SystemError::kStat);
    const auto available = static_cast<std::uint64_t>(status.st_size);
    const auto needed = checked_add(region.file_offset_, region.size_);
    if (!needed || *needed > available)
      return fail(MemoryError::kFileTooSmall, needed.value_or(UINT64_MAX), available);
  }
  return {};
}

Result<MappedMemory> MappedMemory::Builder::build() {
  if (requests_.empty()) return fail(MemoryError::kNoRegions);
  std::vector<std::size_t> order(requests_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return requests_[i].region.base(); });

  std::vector<MappedRegion> regions;
  regions.reserve(order.size());
  for (const auto i : order) {
    auto& request = requests_[i];
    if (const auto ok = check(request.region); !ok) return std::unexpected(ok.error());
    // A distance, not an end: the end of the last region may be 2^64.
    if (!regions.empty() &&
        request.region.base().raw() - regions.back().base().raw() < regions.back().size())
      return fail(MemoryError::kRegionOverlap, request.region.base().raw(),
                  regions.back().base().raw());
    if (const auto ok = attach_file(request); !ok) return std::unexpected(ok.error());
    if (const auto ok = map(request.region); !ok) return std::unexpected(ok.error());
    if (track_dirty_) request.region.dirty_ = std::make_unique<DirtyBitmap>(request.region.size_);
    regions.push_back(std::move(request.region));
  }
  requests_.clear();
  return MappedMemory(std::move(regions));
}

}  // namespace guestproof
