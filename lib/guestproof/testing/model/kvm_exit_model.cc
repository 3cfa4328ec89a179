#include "guestproof/testing/model/kvm_exit_model.h"

#include <algorithm>
#include <array>

namespace guestproof::testing {
namespace {

constexpr std::uint64_t kStructure = 2352;  // of struct kvm_run
constexpr std::uint64_t kUnion = 32;

/// What the union holds, copied once: numbers at offsets in it.
class Union {
 public:
  Union(const ModelMemory& memory, std::size_t bytes) {
    GUESTPROOF_INVARIANT(memory.read(kUnion, std::span(raw_).first(bytes)) == bytes);
  }

  [[nodiscard]] std::uint64_t u8(std::size_t at) const { return raw_[at]; }
  [[nodiscard]] std::uint64_t u16(std::size_t at) const { return number_in(raw_, at, 2); }
  [[nodiscard]] std::uint64_t u32(std::size_t at) const { return number_in(raw_, at, 4); }
  [[nodiscard]] std::uint64_t u64(std::size_t at) const { return number_in(raw_, at, 8); }
  [[nodiscard]] std::vector<std::uint8_t> bytes(std::size_t at, std::size_t count) const {
    return {raw_.begin() + static_cast<std::ptrdiff_t>(at),
            raw_.begin() + static_cast<std::ptrdiff_t>(at + count)};
  }

 private:
  std::array<std::uint8_t, 256> raw_{};
};

ModelExit refused(std::string_view name, std::uint64_t value, std::uint64_t limit) {
  return {.error = {name, value, limit}, .kind = {}, .numbers = {}, .bytes = {}};
}
ModelExit exit_of(std::string_view kind, std::vector<std::uint64_t> numbers,
                  std::vector<std::uint8_t> bytes = {}) {
  return {.error = {}, .kind = kind, .numbers = std::move(numbers), .bytes = std::move(bytes)};
}

ModelExit io(const ModelMemory& memory, std::uint64_t mapping) {
  const Union u(memory, 16);
  const auto direction = u.u8(0), size = u.u8(1), port = u.u16(2), count = u.u32(4),
             offset = u.u64(8);
  if (direction > 1) return refused("kvm_page.io_direction", direction, 1);
  if (size != 1 && size != 2 && size != 4) return refused("kvm_page.io_size", size, 4);
  if (count < 1 || count > mapping / size)
    return refused("kvm_page.io_count", count, mapping / size);
  const auto length = size * count;
  if (offset < kStructure || offset > mapping - length)
    return refused("kvm_page.io_offset", offset, mapping);
  return exit_of(direction == 1 ? "io_out" : "io_in", {port, size, count, offset, length});
}

ModelExit mmio(const ModelMemory& memory) {
  const Union u(memory, 24);
  const auto address = u.u64(0), length = u.u32(16), is_write = u.u8(20);
  if (is_write > 1) return refused("kvm_page.mmio_direction", is_write, 1);
  if (length < 1 || length > 8) return refused("kvm_page.mmio_length", length, 8);
  if (is_write == 0) return exit_of("mmio_read", {address, length});
  return exit_of("mmio_write", {address, length}, u.bytes(8, length));
}

ModelExit debug(const ModelMemory& memory) {
#if defined(__x86_64__)
  const Union u(memory, 32);
  return exit_of("debug", {u.u32(0), u.u64(8), u.u64(16), u.u64(24)});
#elif defined(__aarch64__)
  const Union u(memory, 16);
  return exit_of("debug", {u.u32(4) << 32 | u.u32(0), u.u64(8)});
#else
  static_cast<void>(memory);
  return exit_of("debug", {});
#endif
}

/// A type, a count of up to 16 words, and the words; what is not counted is not there.
ModelExit words(std::string_view kind, const Union& u) {
  const auto count = u.u32(4);
  if (count > 16) return refused("kvm_page.data_count", count, 16);
  std::vector<std::uint64_t> numbers{u.u32(0), count};
  for (std::size_t i = 0; i < 16; ++i) numbers.push_back(i < count ? u.u64(8 + 8 * i) : 0);
  return exit_of(kind, std::move(numbers));
}

ModelExit internal_error(const ModelMemory& memory) {
  const Union u(memory, 136);
  auto exit = words("internal_error", u);
  const auto suberror = u.u32(0), count = u.u32(4);
  if (!exit.error.none() || suberror != 1 || count == 0) return exit;
  // KVM_INTERNAL_ERROR_EMULATION: flags, and with bit 0 a length and up to 15 bytes, in two words.
  const auto flags = u.u64(8);
  if ((flags & 1) == 0) return exit_of("emulation_failure", {flags});
  const auto length = count >= 2 ? u.u8(16) : 0;
  if (count < 3 || length > 15) return refused("kvm_page.instruction_length", length, 15);
  return exit_of("emulation_failure", {flags}, u.bytes(17, length));
}

ModelExit hyperv(const ModelMemory& memory) {
  const Union u(memory, 56);
  switch (u.u32(0)) {
    case 1:
      return exit_of("hyperv_synic", {u.u32(8), u.u64(16), u.u64(24), u.u64(32)});
    case 2:
      return exit_of("hyperv_hypercall", {u.u64(8), u.u64(24), u.u64(32)});
    case 3:
      return exit_of("hyperv_syndbg",
                     {u.u32(8), u.u64(16), u.u64(24), u.u64(32), u.u64(40), u.u64(48)});
    default:
      return refused("kvm_page.hyperv_type", u.u32(0), 3);
  }
}

ModelExit xen(const ModelMemory& memory) {
  const Union u(memory, 80);
  if (u.u32(0) != 1) return refused("kvm_page.xen_type", u.u32(0), 1);
  return exit_of("xen_hypercall", {u.u32(8) != 0 ? 1U : 0U, u.u32(12), u.u64(16), u.u64(32),
                                   u.u64(40), u.u64(48), u.u64(56), u.u64(64), u.u64(72)});
}

ModelExit hypercall(const ModelMemory& memory) {
  const Union u(memory, 72);
  return exit_of("hypercall", {u.u64(0), u.u64(8), u.u64(16), u.u64(24), u.u64(32), u.u64(40),
                               u.u64(48), u.u64(64)});
}

ModelExit riscv_sbi(const ModelMemory& memory) {
  const Union u(memory, 80);
  return exit_of("riscv_sbi", {u.u64(0), u.u64(8), u.u64(16), u.u64(24), u.u64(32), u.u64(40),
                               u.u64(48), u.u64(56)});
}

ModelExit msr(std::string_view kind, const ModelMemory& memory) {
  const Union u(memory, 24);
  if (kind == "rdmsr") return exit_of(kind, {u.u32(8), u.u32(12)});
  return exit_of(kind, {u.u32(8), u.u32(12), u.u64(16)});
}

ModelExit fail_entry(const ModelMemory& memory) {
  const Union u(memory, 16);
  return exit_of("fail_entry", {u.u64(0), u.u32(8)});
}

ModelExit tpr_access(const ModelMemory& memory) {
  const Union u(memory, 16);
  return exit_of("tpr_access", {u.u64(0), u.u32(8) != 0 ? 1U : 0U});
}

ModelExit exception(const ModelMemory& memory) {
  const Union u(memory, 8);
  return exit_of("exception", {u.u32(0), u.u32(4)});
}

ModelExit arm_nisv(const ModelMemory& memory) {
  const Union u(memory, 16);
  return exit_of("arm_nisv", {u.u64(0), u.u64(8)});
}

ModelExit riscv_csr(const ModelMemory& memory) {
  const Union u(memory, 32);
  return exit_of("riscv_csr", {u.u64(0), u.u64(8), u.u64(16)});
}

ModelExit memory_fault(const ModelMemory& memory) {
  const Union u(memory, 24);
  return exit_of("memory_fault", {u.u64(0), u.u64(8), u.u64(16)});
}

/// Where an exit's data lie in the mapping.
ModelField place_of_data(const ModelExit& exit) {
  if (exit.kind == "io_out" || exit.kind == "io_in") return {exit.numbers[3], exit.numbers[4]};
  if (exit.kind == "mmio_read") return {kUnion + 8, exit.numbers[1]};
  return {};
}

}  // namespace

ModelError KvmExitModel::refusal(std::uint64_t mapping) {
  if (mapping < kStructure) return {"kvm_page.run_size", mapping, kStructure};
  return {};
}

ModelExit KvmExitModel::decode() const {
  const auto reason = memory_.number(8, 4);
  switch (reason) {
    case 0:
      return exit_of("unknown", {Union(memory_, 8).u64(0)});
    case 1:
      return exception(memory_);
    case 2:
      return io(memory_, mapping_);
    case 3:
      return hypercall(memory_);
    case 4:
      return debug(memory_);
    case 6:
      return mmio(memory_);
    case 9:
      return fail_entry(memory_);
    case 12:
      return tpr_access(memory_);
    case 17:
      return internal_error(memory_);
    case 24:
      return words("system_event", Union(memory_, 136));
    case 26:
      return exit_of("ioapic_eoi", {Union(memory_, 1).u8(0)});
    case 27:
      return hyperv(memory_);
    case 28:
      return arm_nisv(memory_);
    case 29:
      return msr("rdmsr", memory_);
    case 30:
      return msr("wrmsr", memory_);
    case 34:
      return xen(memory_);
    case 35:
      return riscv_sbi(memory_);
    case 36:
      return riscv_csr(memory_);
    case 37:
      return exit_of("notify", {Union(memory_, 4).u32(0) & 1});
    case 39:
      return memory_fault(memory_);
    default:
      // Reason 38 is LoongArch's; what is above 39 is newer than the library.
      return exit_of(reason < 38 ? "plain" : "unsupported", {reason});
  }
}

std::vector<std::uint8_t> KvmExitModel::get(const ModelField& field) const {
  std::vector<std::uint8_t> bytes(field.bytes);
  GUESTPROOF_INVARIANT(memory_.read(field.offset, bytes) == field.bytes);
  return bytes;
}

void KvmExitModel::put(const ModelField& field, std::span<const std::uint8_t> bytes) const {
  const auto first = bytes.first(std::min(bytes.size(), field.bytes));
  GUESTPROOF_INVARIANT(memory_.write(field.offset, first) == first.size());
}

std::vector<std::uint8_t> KvmExitModel::data(const ModelExit& exit) const {
  return get(place_of_data(exit));
}

void KvmExitModel::put_data(const ModelExit& exit, std::span<const std::uint8_t> bytes) const {
  put(place_of_data(exit), bytes);
}

void KvmExitModel::answer(const ModelExit& exit, std::uint64_t first, std::uint64_t second) const {
  if (exit.kind == "hypercall") memory_.put_number(88, 8, first);
  if (exit.kind == "hyperv_hypercall") memory_.put_number(48, 8, first);
  if (exit.kind == "hyperv_syndbg") memory_.put_number(56, 8, first);
  if (exit.kind == "xen_hypercall") memory_.put_number(56, 8, first);
  if (exit.kind == "riscv_csr") memory_.put_number(56, 8, first);
  if (exit.kind == "rdmsr") memory_.put_number(48, 8, first);
  if (exit.kind == "rdmsr" || exit.kind == "wrmsr") memory_.put_number(32, 1, 0);
  if (exit.kind != "riscv_sbi") return;
  memory_.put_number(96, 8, first);
  memory_.put_number(104, 8, second);
}

void KvmExitModel::refuse(const ModelExit& exit) const {
  if (exit.kind == "rdmsr" || exit.kind == "wrmsr") memory_.put_number(32, 1, 1);
}

ModelField KvmExitModel::sync_registers() {
#if defined(__x86_64__)
  return {304, 520};  // registers, special registers, events
#elif defined(__aarch64__)
  return {304, 8};
#else
  return {304, 1};  // an empty structure, which in C++ has one byte
#endif
}

}  // namespace guestproof::testing
