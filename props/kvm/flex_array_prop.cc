// KVM's variable-length structures against std::vector, and their bytes in both directions.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "guestproof/kvm/flex_array.h"

namespace guestproof::kvm {
namespace {

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

// Entries of 4 bytes, so that words are half full now and then.
RC_GTEST_PROP(FlexArray, DoesWhatAVectorDoes, ()) {
  MsrList array;
  std::vector<std::uint32_t> model;
  for (const auto step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 8))) {
    const auto number = *rc::gen::arbitrary<std::uint32_t>();
    if (step < 5) {
      RC_ASSERT(array.push_back(number).has_value());
      model.push_back(number);
    } else if (step == 5) {
      const auto keep = [=](std::uint32_t entry) { return (entry ^ number) % 3 != 0; };
      array.retain(keep);
      std::erase_if(model, [&](std::uint32_t entry) { return !keep(entry); });
    } else if (step == 6 && !model.empty()) {
      array.entries()[number % model.size()] = number;
      model[number % model.size()] = number;
    } else {
      array = MsrList::from_bytes(copy_of(array.bytes())).value();
    }
    RC_ASSERT(std::ranges::equal(array.entries(), model));
    RC_ASSERT(array == MsrList::of(model).value());
    RC_ASSERT(array.bytes().size() == 4 + 4 * model.size());
  }
}

RC_GTEST_PROP(FlexArray, AnEntryOfItsOwnCanBePushed, ()) {
  const auto numbers = *rc::gen::nonEmpty<std::vector<std::uint32_t>>();
  RC_PRE(numbers.size() < kMsrListLimit);
  auto array = MsrList::of(numbers).value();
  RC_ASSERT(array.push_back(array.entries().front()).has_value());
  RC_ASSERT(array.entries().back() == numbers.front());
}

RC_GTEST_PROP(FlexArray, BytesAreRefusedOrMeanThemselves, ()) {
  auto bytes = copy_of(CpuId::zeroed(*rc::gen::inRange<std::size_t>(0, 8)).value().bytes());
  const auto count = *rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(0, 9),
                                     rc::gen::inRange<std::uint32_t>(250, 260),
                                     rc::gen::arbitrary<std::uint32_t>());
  std::memcpy(bytes.data(), &count, sizeof count);
  if (*rc::gen::arbitrary<bool>()) bytes.resize(*rc::gen::inRange<std::size_t>(0, 400));
  bytes.shrink_to_fit();

  const auto array = CpuId::from_bytes(bytes);

  std::uint32_t says = 0;
  std::memcpy(&says, bytes.data(), std::min(sizeof says, bytes.size()));
  const bool whole = bytes.size() >= 8 && says <= kCpuIdLimit &&
                     bytes.size() == 8 + std::uint64_t{says} * sizeof(kvm_cpuid_entry2);
  RC_TAG(array ? std::string("taken") : array.error().name());
  RC_ASSERT(array.has_value() == whole);
  if (array) RC_ASSERT(std::ranges::equal(array->bytes(), bytes));
}

RC_GTEST_PROP(FlexArray, TheKernelsCountIsTakenUpToTheRoomThatItWasGiven, (std::uint32_t count)) {
  const auto room = *rc::gen::inRange<std::size_t>(0, 20);
  if (*rc::gen::arbitrary<bool>()) count %= 24;
  auto array = Msrs::zeroed(room).value();
  array.header().nmsrs = count;

  const auto accepted = array.accept_count(room);

  RC_ASSERT(accepted.has_value() == (count <= room));
  RC_ASSERT(array.size() == (accepted ? count : 0));
}

}  // namespace
}  // namespace guestproof::kvm
