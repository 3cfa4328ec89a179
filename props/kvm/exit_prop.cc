// Exits: what KVM writes is what is decoded; whatever else lies in a page, nothing outside it is
// touched and nothing that is handed out leads there. Pages are heap blocks of exactly their size,
// so that AddressSanitizer sees a byte too far.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "guestproof/kvm/run_page.h"

namespace guestproof::kvm {
namespace {

/// A mapping of this many bytes, 8-aligned, with struct kvm_run at its front.
class Page {
 public:
  explicit Page(std::size_t size) : bytes_(new std::byte[size]{}), size_(size) {}

  [[nodiscard]] RunPage page() const {
    return RunPage::over(MappedSlice(bytes_.get(), size_, nullptr, 0)).value();
  }
  [[nodiscard]] kvm_run& run() const { return *reinterpret_cast<kvm_run*>(bytes_.get()); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

std::size_t any_size() { return *rc::gen::inRange<std::size_t>(sizeof(kvm_run), 3 * 4096 + 1); }

/// A number near what decides, or anywhere.
std::uint64_t number_around(std::uint64_t middle) {
  return *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(middle - 8, middle + 8),
                         rc::gen::inRange<std::uint64_t>(0, 8),
                         rc::gen::arbitrary<std::uint64_t>());
}

RC_GTEST_PROP(RunPage, PortItemsAreTakenIfAndOnlyIfTheyLieBehindTheStructureAndInTheMapping, ()) {
  const Page page(any_size());
  auto& io = page.run().io;
  page.run().exit_reason = KVM_EXIT_IO;
  io.direction = *rc::gen::element<std::uint8_t>(KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT);
  io.size = *rc::gen::element<std::uint8_t>(1, 2, 4);
  io.port = *rc::gen::arbitrary<std::uint16_t>();
  const auto size = page.bytes().size();
  io.data_offset = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(sizeof(kvm_run) - 8, size + 8),
                                   rc::gen::arbitrary<std::uint64_t>());
  io.count = static_cast<std::uint32_t>(number_around((size - sizeof(kvm_run)) / io.size + 9));
  const auto items = std::uint64_t{io.size} * io.count;
  const bool fits = items != 0 && io.data_offset >= sizeof(kvm_run) && io.data_offset <= size &&
                    items <= size - io.data_offset;

  const auto exit = page.page().decode();

  RC_TAG(fits);
  RC_ASSERT(exit.has_value() == fits);
  if (!fits) return;
  const auto check = [&](const auto& decoded) {
    RC_ASSERT(decoded.port == io.port && decoded.size == io.size && decoded.count == io.count);
    const auto data = page.page().data(decoded);
    const auto* const begins = static_cast<std::byte*>(data.io_source().iov_base);
    RC_ASSERT(begins - page.bytes().data() == static_cast<std::ptrdiff_t>(io.data_offset));
    RC_ASSERT(data.size() == items);
  };
  if (io.direction == KVM_EXIT_IO_OUT)
    check(std::get<IoOut>(*exit));
  else
    check(std::get<IoIn>(*exit));
}

RC_GTEST_PROP(RunPage, AnMmioWriteDecodesToWhatWasWritten,
              (std::uint64_t address, std::uint64_t bytes)) {
  const Page page(sizeof(kvm_run));
  page.run().exit_reason = KVM_EXIT_MMIO;
  auto& mmio = page.run().mmio;
  mmio.phys_addr = address;
  mmio.is_write = 1;
  mmio.len = *rc::gen::inRange<std::uint32_t>(1, 9);
  std::memcpy(mmio.data, &bytes, sizeof bytes);
  const auto write = std::get<MmioWrite>(page.page().decode().value());
  RC_ASSERT(write.address == address);
  RC_ASSERT(std::ranges::equal(write.data(),
                               std::as_bytes(std::span(&bytes, 1)).first(page.run().mmio.len)));
}

RC_GTEST_PROP(RunPage, WhateverLiesThereNothingOutsideIsTouchedAndNothingIsWritten, ()) {
  const Page page(any_size());
  const auto front =
      *rc::gen::container<std::vector<std::uint8_t>>(288, rc::gen::arbitrary<std::uint8_t>());
  std::memcpy(page.bytes().data(), front.data(), front.size());
  page.run().exit_reason = *rc::gen::inRange<std::uint32_t>(0, 42);
  if (*rc::gen::arbitrary<bool>()) page.run().io.data_offset = number_around(page.bytes().size());
  const std::vector before(page.bytes().begin(), page.bytes().end());

  const auto exit = page.page().decode();

  RC_TAG(exit ? std::string("decoded") : exit.error().name());
  RC_ASSERT(std::ranges::equal(page.bytes(), before));
  if (!exit) return;
  const auto touch = [&](const auto& decoded) {
    if constexpr (requires { page.page().data(decoded); }) {
      const auto data = page.page().data(decoded);
      std::vector<std::byte> copy(data.size());
      data.read(0, copy);
      data.write(0, copy);
    }
  };
  std::visit(touch, *exit);
  RC_ASSERT(std::ranges::equal(page.bytes(), before));
}

}  // namespace
}  // namespace guestproof::kvm
