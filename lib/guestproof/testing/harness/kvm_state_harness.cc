#include "guestproof/testing/harness/kvm_state_harness.h"

#include <array>
#include <cstring>

#include "guestproof/kvm/state.h"

namespace guestproof::testing {
namespace {

using Payload = std::optional<std::vector<std::uint8_t>>;

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = 62;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = 183;
#else
constexpr std::uint16_t kMachine = 243;
#endif

// A field of a state, from its payload.
template <class T>
  requires std::is_trivially_copyable_v<T>
void assign(T& object, const Payload& payload) {
  std::memcpy(static_cast<void*>(&object), payload->data(), sizeof object);
}
template <class T>
void assign(std::vector<T>& entries, const Payload& payload) {
  entries.resize(payload->size() / sizeof(T));
  if (!entries.empty()) std::memcpy(entries.data(), payload->data(), payload->size());
}
[[maybe_unused]] void assign(std::vector<kvm::Register>& registers, const Payload& payload) {
  registers.clear();
  for (std::size_t at = 0; at < payload->size();) {
    kvm::Register one;
    std::memcpy(&one.id, payload->data() + at, sizeof one.id);
    const auto size = std::size_t{1} << (one.id >> KVM_REG_SIZE_SHIFT & 15);
    one.value.resize(size);
    std::memcpy(one.value.data(), payload->data() + at + sizeof one.id, size);
    registers.push_back(std::move(one));
    at += sizeof one.id + (size + 7) / 8 * 8;
  }
}

/// A vCPU that is its registers, as riscv64 saves one.
struct RegisterState {
  kvm_mp_state mp_state{};
  std::vector<kvm::Register> registers;

  template <class Codec, class State>
  static void fields(Codec& codec, State& state) {
    codec.object(10, state.mp_state);
    codec.registers(13, state.registers);
  }
  [[nodiscard]] std::vector<std::byte> encode() const {
    kvm::Encoder encoder(kvm::StateKind::kVcpu);
    fields(encoder, *this);
    return std::move(encoder).finish();
  }
  [[nodiscard]] static Result<RegisterState> decode(std::span<const std::byte> bytes) {
    RegisterState state;
    kvm::Decoder decoder(bytes, kvm::StateKind::kVcpu);
    fields(decoder, state);
    if (const auto ok = std::move(decoder).finish(); !ok) return std::unexpected(ok.error());
    return state;
  }
};

void set_field(RegisterState& state, std::uint32_t tag, const Payload& payload) {
  if (tag == 10) return assign(state.mp_state, payload);
  assign(state.registers, payload);
}

#if defined(__x86_64__)
template <class T>
void assign(std::optional<T>& maybe, const Payload& payload) {
  maybe.reset();
  if (payload) assign(maybe.emplace(), payload);
}

template <class T>
void assign_blob(T& value, const Payload& payload) {
  value = T::from_bytes(std::as_bytes(std::span(*payload))).value();
}

void set_field(kvm::VcpuState& state, std::uint32_t tag, const Payload& payload) {
  switch (tag) {
    case 1:
      return assign_blob(state.cpuid, payload);
    case 2:
      return assign(state.tsc_khz, payload);
    case 3:
      return assign(state.sregs, payload);
    case 4:
      return assign(state.regs, payload);
    case 5:
      return assign(state.xcrs, payload);
    case 6:
      return assign(state.xsave.words, payload);
    case 7:
      return assign(state.debugregs, payload);
    case 8:
      return assign(state.msrs, payload);
    case 9:
      return assign(state.events, payload);
    case 10:
      return assign(state.mp_state, payload);
    case 11:
      return assign(state.lapic, payload);
    default:
      state.nested.reset();
      if (payload)
        state.nested = kvm::NestedState::from_bytes(std::as_bytes(std::span(*payload))).value();
  }
}

void set_field(kvm::VmState& state, std::uint32_t tag, const Payload& payload) {
  switch (tag) {
    case 1:
      return assign(state.clock, payload);
    case 2:
      return assign(state.pic_master, payload);
    case 3:
      return assign(state.pic_slave, payload);
    case 4:
      return assign(state.ioapic, payload);
    default:
      return assign(state.pit, payload);
  }
}
#endif

template <class Value>
class StateOf : public KvmStateHarness::State {
 public:
  void set(std::uint32_t tag, const Payload& payload) override { set_field(value_, tag, payload); }
  [[nodiscard]] std::vector<std::byte> encode() const override { return value_.encode(); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override {
    auto decoded = Value::decode(bytes);
    if (!decoded) return std::unexpected(decoded.error());
    value_ = std::move(*decoded);
    return {};
  }

 private:
  Value value_;
};

struct Kind {
  std::string_view name;
  std::uint32_t number;
  std::span<const ModelSection> (*fields)();
  std::unique_ptr<KvmStateHarness::State> (*make)();
};
template <class Value>
std::unique_ptr<KvmStateHarness::State> make() {
  return std::make_unique<StateOf<Value>>();
}
constexpr std::array kKinds{
#if defined(__x86_64__)
    Kind{"vcpu", 1, model_vcpu_x86_64, make<kvm::VcpuState>},
    Kind{"vm", 2, model_vm_x86_64, make<kvm::VmState>},
#endif
    Kind{"registers", 1, model_vcpu_riscv64, make<RegisterState>},
};

}  // namespace

KvmStateHarness::KvmStateHarness() : model_(kMachine, kKinds[0].number, kKinds[0].fields()) {
  first_kind_ = depth_.names().size();
  for (const auto& kind : kKinds) depth_.add("state:" + std::string(kind.name));
  set_ = depth_.add("state:field_set");
  taken_away_ = depth_.add("state:field_taken_away");
  depth_.add_errors<kvm::StateError>();
}

KvmStateHarness::~KvmStateHarness() = default;

void KvmStateHarness::choose(std::uint16_t index) {
  const auto& kind = kKinds[index % kKinds.size()];
  depth_.count(first_kind_ + index % kKinds.size());
  state_ = kind.make();
  model_ = KvmStateModel(kMachine, kind.number, kind.fields());
}

SavedHarness::Bytes KvmStateHarness::encode() const {
  const auto encoded = state_->encode();
  Bytes bytes(encoded.size());
  std::memcpy(bytes.data(), encoded.data(), bytes.size());
  return bytes;
}

Result<void> KvmStateHarness::decode(std::span<const std::byte> bytes) {
  return state_->decode(bytes);
}

void KvmStateHarness::request(const Record& record) {
  const auto& field = model_.fields()[record.kind % model_.fields().size()];
  if ((record.flags & kRequestRaw) != 0 && field.optional) {
    depth_.count(taken_away_);
    state_->set(field.tag, std::nullopt);
    return model_.set(field.tag, std::nullopt);
  }
  depth_.count(set_);
  auto payload = payload_of(field, record);
  state_->set(field.tag, payload);
  model_.set(field.tag, std::move(payload));
}

SavedHarness::Bytes KvmStateHarness::payload_of(const ModelSection& field, const Record& record) {
  const auto entries = record.length % 64;
  Bytes payload;
  switch (field.form) {
    case ModelSection::Form::kStructure:
      payload = pattern(record.value, field.bytes);
      // An odd number of entries, which a structure does not have, leaves a wrong id.
      if (field.id && entries % 2 == 0) put_number(payload, 0, *field.id);
      return payload;
    case ModelSection::Form::kEntries:
      return pattern(record.value, field.bytes * entries);
    case ModelSection::Form::kArray: {
      KvmArrayModel array(kModelCpuId);
      for (std::uint64_t i = 0; i < entries; ++i)
        GUESTPROOF_INVARIANT(array.push_back(pattern(record.value + i, 40)).none());
      return array.bytes();
    }
    case ModelSection::Form::kNested:
      payload = pattern(record.value, 128 + 8 * entries);
      put_number(payload, 4, static_cast<std::uint32_t>(payload.size()));
      return payload;
    case ModelSection::Form::kRegisters:
      for (std::uint64_t i = 0; i < entries; ++i) {
        const auto size = (record.index + i) % 9;  // 1 to 256 bytes
        auto id = pattern(record.value + i, 8);
        id[6] = static_cast<std::uint8_t>((id[6] & 15) | size << 4);
        id[7] &= 0xf0;
        auto value = pattern(record.value, std::size_t{1} << size);
        value.resize((value.size() + 7) / 8 * 8);
        payload.insert(payload.end(), id.begin(), id.end());
        payload.insert(payload.end(), value.begin(), value.end());
      }
      return payload;
  }
  return payload;
}

void KvmStateHarness::put_number(Bytes& bytes, std::size_t at, std::uint32_t number) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(number >> 8 * i);
}

std::optional<KvmStateHarness::Section> KvmStateHarness::section(std::size_t position) {
  const auto& bytes = saved();
  for (std::size_t at = 16; at + 8 <= bytes.size(); --position) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at + 4, sizeof length);
    const auto whole = 8 + (std::size_t{length} + 7) / 8 * 8;
    if (whole > bytes.size() - at) return std::nullopt;
    if (position == 0) return Section{at, whole};
    at += whole;
  }
  return std::nullopt;
}

void KvmStateHarness::act(const Record& record) {
  auto& bytes = saved();
  const auto found = section(record.index % 16);
  switch (record.op()) {
    case Opcode::kEntry:
      if (found) put_number(bytes, found->at, record.next);
      break;
    case Opcode::kPublish:
      if (!found) break;
      bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(found->at),
                  bytes.begin() + static_cast<std::ptrdiff_t>(found->at + found->bytes));
      break;
    case Opcode::kAvail:
      bytes.resize(bytes.size() + record.next % 64);
      break;
    default:
      return;
  }
  if (bytes.size() >= 16) put_number(bytes, 12, static_cast<std::uint32_t>(bytes.size()));
}

}  // namespace guestproof::testing
