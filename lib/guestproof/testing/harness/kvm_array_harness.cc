#include "guestproof/testing/harness/kvm_array_harness.h"

#include <array>
#include <cstring>
#include <type_traits>

#include "guestproof/kvm/flex_array.h"

namespace guestproof::testing {
namespace {

using kvm::CallError;

template <class FlexArray, auto Count>
class ArrayOf : public KvmArrayHarness::Array {
 public:
  using Entry = typename FlexArray::Entry;

  [[nodiscard]] std::span<const std::byte> bytes() const override { return array_.bytes(); }
  [[nodiscard]] std::size_t size() const override { return array_.size(); }
  [[nodiscard]] Result<void> push_back(std::span<const std::uint8_t> entry) override {
    return array_.push_back(entry_of(entry));
  }
  void set_entry(std::size_t position, std::span<const std::uint8_t> entry) override {
    array_.entries()[position] = entry_of(entry);
  }
  [[nodiscard]] Result<void> zeroed(std::size_t count) override {
    return take(FlexArray::zeroed(count));
  }
  [[nodiscard]] Result<void> accept(std::size_t room, std::uint64_t count) override {
    array_ = FlexArray::zeroed(room).value();
    auto& counted = array_.header().*Count;
    counted = static_cast<std::remove_reference_t<decltype(counted)>>(count);
    return array_.accept_count(room);
  }
  void retain(const std::function<bool(std::uint8_t)>& keep) override {
    array_.retain([&](const Entry& entry) {
      return keep(std::to_integer<std::uint8_t>(std::as_bytes(std::span(&entry, 1))[0]));
    });
  }
  [[nodiscard]] Result<void> parse(std::span<const std::byte> bytes) override {
    if (const auto done = take(FlexArray::from_bytes(bytes)); !done) return done;
    auto again = FlexArray::of(array_.entries()).value();
    again.header() = std::as_const(array_).header();
    if (again != array_) violated(kRoundTrip, "an array of the same header and entries is another");
    return {};
  }

 private:
  static Entry entry_of(std::span<const std::uint8_t> bytes) {
    Entry entry{};
    std::memcpy(static_cast<void*>(&entry), bytes.data(), bytes.size());
    return entry;
  }
  Result<void> take(const Result<FlexArray>& made) {
    if (!made) return std::unexpected(made.error());
    array_ = *made;
    return {};
  }

  FlexArray array_;
};

struct Kind {
  const ModelArrayLayout* layout;
  std::unique_ptr<KvmArrayHarness::Array> (*make)();
};
template <class FlexArray, auto Count>
consteval Kind kind(const ModelArrayLayout& layout) {
  return {&layout, [] -> std::unique_ptr<KvmArrayHarness::Array> {
            return std::make_unique<ArrayOf<FlexArray, Count>>();
          }};
}
constexpr std::array kKinds{
    kind<kvm::IrqRouting, &kvm_irq_routing::nr>(kModelIrqRouting),
#if defined(__x86_64__)
    kind<kvm::CpuId, &kvm_cpuid2::nent>(kModelCpuId),
    kind<kvm::Msrs, &kvm_msrs::nmsrs>(kModelMsrs),
    kind<kvm::MsrList, &kvm_msr_list::nmsrs>(kModelMsrList),
    kind<kvm::PmuEventFilter, &kvm_pmu_event_filter::nevents>(kModelPmuEventFilter),
#else
    kind<kvm::RegList, &kvm_reg_list::n>(kModelRegList),
#endif
};

}  // namespace

KvmArrayHarness::KvmArrayHarness() : model_(*kKinds[0].layout) {
  first_kind_ = depth_.names().size();
  for (const auto& each : kKinds) depth_.add("array:" + std::string(each.layout->name));
  pushed_ = depth_.add("array:pushed");
  changed_ = depth_.add("array:entry_changed");
  retained_ = depth_.add("array:retained");
  zeroed_ = depth_.add("array:zeroed");
  counted_ = depth_.add("array:counted_by_kernel");
  depth_.add_errors<CallError>({CallError::kApiVersion, CallError::kUnknownSlot,
                                CallError::kBitmapLength, CallError::kDatamatch,
                                CallError::kRegisterSize, CallError::kMsrRefused,
                                CallError::kMsrBitmap, CallError::kStatistics,
                                CallError::kStatisticsName, CallError::kExitPending});
}

KvmArrayHarness::~KvmArrayHarness() = default;

void KvmArrayHarness::choose(std::uint16_t index) {
  const auto position = index % kKinds.size();
  depth_.count(first_kind_ + position);
  array_ = kKinds[position].make();
  model_ = KvmArrayModel(*kKinds[position].layout);
}

SavedHarness::Bytes KvmArrayHarness::encode() const {
  if (array_->size() != model_.size())
    violated(kModelAgreement, "the array has " + std::to_string(array_->size()) +
                                  " entries, the model " + std::to_string(model_.size()));
  Bytes bytes(array_->bytes().size());
  std::memcpy(bytes.data(), array_->bytes().data(), bytes.size());
  return bytes;
}

Result<void> KvmArrayHarness::decode(std::span<const std::byte> bytes) {
  return array_->parse(bytes);
}

void KvmArrayHarness::agree(std::string_view what, const Result<void>& done,
                            const ModelError& model) {
  compare_errors(kModelAgreement, what, error_of(done), model);
  if (!done) count(done.error());
}

void KvmArrayHarness::request(const Record& record) {
  depth_.count(pushed_);
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto entries = 1 + record.length % (raw ? 2048 : 64);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto entry = pattern(record.value + i, model_.layout().entry_bytes);
    const auto pushed = array_->push_back(entry);
    agree("pushing an entry", pushed, model_.push_back(entry));
    if (!pushed) break;
  }
}

void KvmArrayHarness::retain(const Record& record) {
  depth_.count(retained_);
  const unsigned index = record.index, divisor = 2 + record.length % 4;
  const auto keep = [=](std::uint8_t first) { return (first + index) % divisor != 0; };
  array_->retain(keep);
  model_.retain(keep);
}

void KvmArrayHarness::act(const Record& record) {
  switch (record.op()) {
    case Opcode::kActivate:
      depth_.count(zeroed_);
      agree("an array of zeros", array_->zeroed(record.index), model_.zeroed(record.index));
      break;
    case Opcode::kEntry:
      if (model_.size() == 0) break;
      depth_.count(changed_);
      array_->set_entry(record.index % model_.size(),
                        pattern(record.next, model_.layout().entry_bytes));
      model_.set_entry(record.index % model_.size(),
                       pattern(record.next, model_.layout().entry_bytes));
      break;
    case Opcode::kComplete:
      retain(record);
      break;
    case Opcode::kPublish:
      depth_.count(counted_);
      agree("the kernel's count", array_->accept(record.queue, record.index),
            model_.accept(record.queue, record.index));
      break;
    default:
      return;
  }
  compare(kModelAgreement, "a step");
}

}  // namespace guestproof::testing
