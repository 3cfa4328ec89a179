#include "guestproof/testing/harness/kvm_exit_harness.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

namespace guestproof::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Numbers = std::vector<std::uint64_t>;
using kvm::Exit;
using kvm::PageError;

// What the counters of the exits are called, in the order of kvm::Exit.
constexpr std::array<std::string_view, 45> kNames{"unknown",
                                                  "exception",
                                                  "io_out",
                                                  "io_in",
                                                  "mmio_read",
                                                  "mmio_write",
                                                  "hypercall",
                                                  "debug",
                                                  "hlt",
                                                  "irq_window_open",
                                                  "shutdown",
                                                  "fail_entry",
                                                  "intr",
                                                  "set_tpr",
                                                  "tpr_access",
                                                  "nmi",
                                                  "internal_error",
                                                  "emulation_failure",
                                                  "watchdog",
                                                  "system_event",
                                                  "ioapic_eoi",
                                                  "hyperv_synic",
                                                  "hyperv_hypercall",
                                                  "hyperv_syndbg",
                                                  "arm_nisv",
                                                  "rdmsr",
                                                  "wrmsr",
                                                  "dirty_ring_full",
                                                  "ap_reset_hold",
                                                  "bus_lock",
                                                  "xen_hypercall",
                                                  "riscv_sbi",
                                                  "riscv_csr",
                                                  "notify",
                                                  "memory_fault",
                                                  "s390_sieic",
                                                  "s390_reset",
                                                  "dcr",
                                                  "osi",
                                                  "papr_hcall",
                                                  "s390_ucontrol",
                                                  "s390_tsch",
                                                  "epr",
                                                  "s390_stsi",
                                                  "unsupported"};
static_assert(kNames.size() == std::variant_size_v<Exit>);

// What a request says, as the writers of exits need it.
struct Wish {
  std::uint64_t value = 0;
  std::uint32_t length = 0;
  std::uint16_t index = 0;
  std::uint16_t extra = 0;
  std::uint8_t cut = 0;
  bool raw = false;
  std::uint64_t data = 0;  // where port items lie
  std::uint64_t room = 0;  // bytes from there to the mapping's end

  /// The length, made 0 to `most` unless raw.
  [[nodiscard]] std::uint32_t up_to(std::uint32_t most) const {
    return raw ? length : length % (most + 1);
  }
  /// A direction or type: what belongs there, unless raw.
  [[nodiscard]] std::uint32_t or_extra(std::uint32_t proper) const { return raw ? extra : proper; }
};

void write_io(kvm_run& run, const Wish& wish, std::uint8_t direction) {
  run.exit_reason = KVM_EXIT_IO;
  run.io.direction = static_cast<std::uint8_t>(wish.or_extra(direction));
  run.io.size = static_cast<std::uint8_t>(wish.raw ? wish.cut : 1 << wish.cut % 3);
  run.io.port = wish.index;
  const auto most = wish.raw ? 0 : std::max<std::uint64_t>(wish.room / run.io.size, 1);
  run.io.count = wish.raw ? wish.length : static_cast<std::uint32_t>(1 + wish.length % most);
  run.io.data_offset = wish.data;
}

void write_mmio(kvm_run& run, const Wish& wish, std::uint8_t is_write) {
  run.exit_reason = KVM_EXIT_MMIO;
  run.mmio.phys_addr = wish.value;
  run.mmio.len = wish.raw ? wish.length : 1 + wish.length % 8;
  run.mmio.is_write = static_cast<std::uint8_t>(wish.or_extra(is_write));
  std::memcpy(run.mmio.data, &wish.value, sizeof run.mmio.data);
}

void write_words(std::uint32_t& type, std::uint32_t& count, __u64 (&data)[16], const Wish& wish) {
  type = wish.or_extra(wish.index % 8);
  count = wish.up_to(16);
  for (std::size_t i = 0; i < 16; ++i) data[i] = wish.value + i;
}

void write_emulation_failure(kvm_run& run, const Wish& wish) {
  run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
  auto& failure = run.emulation_failure;
  failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
  failure.ndata = wish.raw ? wish.length : 3 + wish.length % 14;
  failure.flags = wish.or_extra(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
  failure.insn_size = static_cast<std::uint8_t>(wish.raw ? wish.index : wish.index % 16);
  std::memcpy(failure.insn_bytes, &wish.value, sizeof wish.value);
}

void write_msr(kvm_run& run, const Wish& wish, std::uint32_t reason) {
  run.exit_reason = reason;
  run.msr.error = static_cast<std::uint8_t>(wish.extra);
  run.msr.reason = wish.length;
  run.msr.index = wish.index;
  run.msr.data = wish.value;
}

void write_hyperv(kvm_run& run, const Wish& wish, std::uint32_t type) {
  run.exit_reason = KVM_EXIT_HYPERV;
  run.hyperv.type = wish.or_extra(type);
  run.hyperv.u.syndbg = {
      wish.index, 0, wish.value, wish.value + 1, wish.value + 2, wish.value + 3, wish.value + 4};
}

void write_xen(kvm_run& run, const Wish& wish) {
  run.exit_reason = KVM_EXIT_XEN;
  run.xen.type = wish.or_extra(KVM_EXIT_XEN_HCALL);
  auto& call = run.xen.u.hcall;
  call.longmode = wish.length;
  call.cpl = wish.index;
  call.input = wish.value;
  for (std::size_t i = 0; i < std::size(call.params); ++i) call.params[i] = wish.value + i;
}

/// An exit whose union is words with a meaning of their own each.
template <std::uint32_t Reason>
void write_union(kvm_run& run, const Wish& wish) {
  run.exit_reason = Reason;
  auto* words = reinterpret_cast<std::byte*>(&run.hw);
  for (std::size_t i = 0; i < 10; ++i) {
    const auto word = wish.value + (i << 32) + i * wish.index;
    std::memcpy(words + 8 * i, &word, sizeof word);
  }
}

constexpr std::array kPlain{KVM_EXIT_HLT,           KVM_EXIT_IRQ_WINDOW_OPEN,
                            KVM_EXIT_SHUTDOWN,      KVM_EXIT_INTR,
                            KVM_EXIT_SET_TPR,       KVM_EXIT_NMI,
                            KVM_EXIT_WATCHDOG,      KVM_EXIT_DIRTY_RING_FULL,
                            KVM_EXIT_AP_RESET_HOLD, KVM_EXIT_X86_BUS_LOCK,
                            KVM_EXIT_S390_SIEIC,    KVM_EXIT_S390_RESET,
                            KVM_EXIT_DCR,           KVM_EXIT_OSI,
                            KVM_EXIT_PAPR_HCALL,    KVM_EXIT_S390_UCONTROL,
                            KVM_EXIT_S390_TSCH,     KVM_EXIT_EPR,
                            KVM_EXIT_S390_STSI};

using Writer = void (*)(kvm_run&, const Wish&);
constexpr std::array<Writer, 27> kKinds{
    [](kvm_run& run, const Wish& wish) { write_io(run, wish, KVM_EXIT_IO_OUT); },
    [](kvm_run& run, const Wish& wish) { write_io(run, wish, KVM_EXIT_IO_IN); },
    [](kvm_run& run, const Wish& wish) { write_mmio(run, wish, 0); },
    [](kvm_run& run, const Wish& wish) { write_mmio(run, wish, 1); },
    write_union<KVM_EXIT_HYPERCALL>,
    [](kvm_run& run, const Wish& wish) { write_msr(run, wish, KVM_EXIT_X86_RDMSR); },
    [](kvm_run& run, const Wish& wish) { write_msr(run, wish, KVM_EXIT_X86_WRMSR); },
    write_union<KVM_EXIT_DEBUG>,
    [](kvm_run& run, const Wish& wish) {
      run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
      write_words(run.internal.suberror, run.internal.ndata, run.internal.data, wish);
    },
    write_emulation_failure,
    [](kvm_run& run, const Wish& wish) {
      run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
      write_words(run.system_event.type, run.system_event.ndata, run.system_event.data, wish);
    },
    [](kvm_run& run, const Wish& wish) { write_hyperv(run, wish, KVM_EXIT_HYPERV_SYNIC); },
    [](kvm_run& run, const Wish& wish) { write_hyperv(run, wish, KVM_EXIT_HYPERV_HCALL); },
    [](kvm_run& run, const Wish& wish) { write_hyperv(run, wish, KVM_EXIT_HYPERV_SYNDBG); },
    write_xen,
    write_union<KVM_EXIT_RISCV_SBI>,
    write_union<KVM_EXIT_RISCV_CSR>,
    write_union<KVM_EXIT_MEMORY_FAULT>,
    write_union<KVM_EXIT_FAIL_ENTRY>,
    write_union<KVM_EXIT_EXCEPTION>,
    write_union<KVM_EXIT_TPR_ACCESS>,
    write_union<KVM_EXIT_IOAPIC_EOI>,
    write_union<KVM_EXIT_ARM_NISV>,
    write_union<KVM_EXIT_NOTIFY>,
    write_union<KVM_EXIT_UNKNOWN>,
    [](kvm_run& run, const Wish& wish) { run.exit_reason = kPlain[wish.index % kPlain.size()]; },
    [](kvm_run& run, const Wish& wish) { run.exit_reason = wish.index; },
};

// The library's exits in the form of the model's.

template <class... Words>
ModelExit facts(std::string_view kind, const Words&... words) {
  ModelExit exit{.error = {}, .kind = kind, .numbers = {}, .bytes = {}};
  [[maybe_unused]] const auto add = [&](const auto& word) {
    if constexpr (requires { word.begin(); })
      exit.numbers.insert(exit.numbers.end(), word.begin(), word.end());
    else
      exit.numbers.push_back(word);
  };
  (add(words), ...);
  return exit;
}
ModelExit with_bytes(ModelExit exit, std::span<const std::byte> bytes) {
  for (const auto byte : bytes) exit.bytes.push_back(std::to_integer<std::uint8_t>(byte));
  return exit;
}

ModelExit facts_of(const kvm::IoOut& e) {
  return facts("io_out", e.port, e.size, e.count, e.data.offset, e.data.length);
}
ModelExit facts_of(const kvm::IoIn& e) {
  return facts("io_in", e.port, e.size, e.count, e.data.offset, e.data.length);
}
ModelExit facts_of(const kvm::MmioWrite& e) {
  return with_bytes(facts("mmio_write", e.address, e.length), e.data());
}
ModelExit facts_of(const kvm::MmioRead& e) { return facts("mmio_read", e.address, e.length); }
ModelExit facts_of(const kvm::Hypercall& e) {
  return facts("hypercall", e.number, e.arguments, e.flags);
}
ModelExit facts_of([[maybe_unused]] const kvm::Debug& e) {
#if defined(__x86_64__)
  return facts("debug", e.exception, e.pc, e.dr6, e.dr7);
#elif defined(__aarch64__)
  return facts("debug", e.syndrome, e.far);
#else
  return facts("debug");
#endif
}
ModelExit facts_of(const kvm::Unknown& e) { return facts("unknown", e.hardware_exit_reason); }
ModelExit facts_of(const kvm::FailEntry& e) {
  return facts("fail_entry", e.hardware_entry_failure_reason, e.cpu);
}
ModelExit facts_of(const kvm::Exception& e) {
  return facts("exception", e.exception, e.error_code);
}
ModelExit facts_of(const kvm::TprAccess& e) { return facts("tpr_access", e.rip, e.write); }
ModelExit facts_of(const kvm::InternalError& e) {
  return facts("internal_error", e.suberror, e.ndata, e.data);
}
ModelExit facts_of(const kvm::EmulationFailure& e) {
  return with_bytes(facts("emulation_failure", e.flags), e.instruction());
}
ModelExit facts_of(const kvm::SystemEvent& e) {
  return facts("system_event", e.type, e.ndata, e.data);
}
ModelExit facts_of(const kvm::IoapicEoi& e) { return facts("ioapic_eoi", e.vector); }
ModelExit facts_of(const kvm::HypervSynic& e) {
  return facts("hyperv_synic", e.msr, e.control, e.event_page, e.message_page);
}
ModelExit facts_of(const kvm::HypervHypercall& e) {
  return facts("hyperv_hypercall", e.input, e.parameters);
}
ModelExit facts_of(const kvm::HypervSyndbg& e) {
  return facts("hyperv_syndbg", e.msr, e.control, e.status, e.send_page, e.receive_page,
               e.pending_page);
}
ModelExit facts_of(const kvm::ArmNisv& e) { return facts("arm_nisv", e.esr_iss, e.fault_ipa); }
ModelExit facts_of(const kvm::Rdmsr& e) { return facts("rdmsr", e.reason, e.index); }
ModelExit facts_of(const kvm::Wrmsr& e) { return facts("wrmsr", e.reason, e.index, e.value); }
ModelExit facts_of(const kvm::XenHypercall& e) {
  return facts("xen_hypercall", e.long_mode, e.cpl, e.input, e.parameters);
}
ModelExit facts_of(const kvm::RiscvSbi& e) {
  return facts("riscv_sbi", e.extension, e.function, e.arguments);
}
ModelExit facts_of(const kvm::RiscvCsr& e) {
  return facts("riscv_csr", e.number, e.new_value, e.write_mask);
}
ModelExit facts_of(const kvm::Notify& e) { return facts("notify", e.context_invalid); }
ModelExit facts_of(const kvm::MemoryFault& e) {
  return facts("memory_fault", e.flags, e.address, e.size);
}
template <std::uint32_t Reason>
ModelExit facts_of(const kvm::Plain<Reason>& e) {
  return facts("plain", e.kReason);
}
ModelExit facts_of(const kvm::Unsupported& e) { return facts("unsupported", e.reason); }

void compare(const Exit& exit, const ModelExit& model) {
  const auto device = std::visit([](const auto& e) { return facts_of(e); }, exit);
  if (device.kind != model.kind)
    violated(kModelAgreement, "the page is decoded as " + std::string(device.kind) +
                                  ", by the model as " + std::string(model.kind));
  if (device.numbers != model.numbers || device.bytes != model.bytes)
    violated(kModelAgreement,
             "an exit of kind " + std::string(model.kind) + " is decoded to other contents");
}

/// The number, over and over.
Bytes pattern(std::uint64_t number, std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i)
    bytes[i] = static_cast<std::uint8_t>(number >> 8 * (i % 8));
  return bytes;
}

// The fields for the host: written when they have a `write`, else read. Those of one byte are
// truth values.
struct HostField {
  std::string_view name;
  ModelField field;
  void (*write)(const WatchedRunPage&, std::uint64_t);
  std::uint64_t (*read)(const WatchedRunPage&);
};
const std::array kHostFields{
    HostField{"immediate_exit", KvmExitModel::immediate_exit(),
              [](const WatchedRunPage& page, std::uint64_t v) { page.request_exit(v != 0); },
              nullptr},
    HostField{
        "request_interrupt_window", KvmExitModel::request_interrupt_window(),
        [](const WatchedRunPage& page, std::uint64_t v) { page.request_interrupt_window(v != 0); },
        nullptr},
    HostField{"set_cr8", KvmExitModel::cr8(),
              [](const WatchedRunPage& page, std::uint64_t v) { page.set_cr8(v); }, nullptr},
    HostField{"valid_registers", KvmExitModel::valid_registers(),
              [](const WatchedRunPage& page, std::uint64_t v) { page.set_valid_registers(v); },
              nullptr},
    HostField{"dirty_registers", KvmExitModel::dirty_registers(),
              [](const WatchedRunPage& page, std::uint64_t v) { page.set_dirty_registers(v); },
              nullptr},
    HostField{"ready_for_interrupt_injection", KvmExitModel::ready_for_interrupt_injection(),
              nullptr,
              [](const WatchedRunPage& page) -> std::uint64_t {
                return page.ready_for_interrupt_injection() ? 1 : 0;
              }},
    HostField{
        "if_flag", KvmExitModel::if_flag(), nullptr,
        [](const WatchedRunPage& page) -> std::uint64_t { return page.interrupt_flag() ? 1 : 0; }},
    HostField{"flags", KvmExitModel::flags(), nullptr,
              [](const WatchedRunPage& page) -> std::uint64_t { return page.flags(); }},
    HostField{"cr8", KvmExitModel::cr8(), nullptr,
              [](const WatchedRunPage& page) { return page.cr8(); }},
    HostField{"apic_base", KvmExitModel::apic_base(), nullptr,
              [](const WatchedRunPage& page) { return page.apic_base(); }},
};

std::uint64_t number_of(const Bytes& bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

}  // namespace

KvmExitHarness::KvmExitHarness() {
  first_kind_ = depth_.names().size();
  for (const auto name : kNames) depth_.add("exit:" + std::string(name));
  first_field_ = depth_.names().size();
  for (const auto& field : kHostFields) depth_.add("host:" + std::string(field.name));
  sync_out_ = depth_.add("host:sync_registers");
  sync_in_ = depth_.add("host:set_sync_registers");
  data_ = depth_.add("exit:data");
  answers_ = depth_.add("exit:answered");
  refusals_ = depth_.add("exit:refused");
  depth_.add_errors<PageError>({PageError::kRingIndex, PageError::kRingLength,
                                PageError::kDirtyFlags, PageError::kDirtyRingSize});
}

Result<void> KvmExitHarness::map_reader(const WatchedMemory::Slice& mapping) {
  exit_.reset();
  page_.reset();
  const auto page = WatchedRunPage::over(mapping);
  if (!page) return std::unexpected(page.error());
  page_.emplace(*page);
  return {};
}

ModelError KvmExitHarness::map_model(std::uint64_t size) { return KvmExitModel::refusal(size); }

SpaceRange KvmExitHarness::area(Space space) const {
  switch (space) {
    case Space::kHeader:  // what says why, with its union
      return {0, 288};
    case Space::kDescriptorTable:  // the union
      return {32, 256};
    case Space::kAvailableRing:  // what stands before it
      return {0, 32};
    case Space::kUsedRing:  // the registers
      return {288, 2064};
    case Space::kIndirect:  // the page of port items
      return {kPage, kPage};
    default:
      return {0, std::max<std::uint64_t>(size(), 1)};
  }
}

void KvmExitHarness::request(const Record& record) {
  const auto data = address_of(record, size() > kPage ? kPage : sizeof(kvm_run));
  const Wish wish{.value = record.value,
                  .length = record.length,
                  .index = record.index,
                  .extra = record.extra,
                  .cut = record.width,
                  .raw = (record.flags & kRequestRaw) != 0,
                  .data = data,
                  .room = size() > data ? size() - data : 0};
  kvm_run run{};
  kKinds[record.kind % kKinds.size()](run, wish);
  const auto all = std::as_bytes(std::span(&run, 1));
  world().write(GuestAddress(offsetof(kvm_run, exit_reason)),
                all.subspan(offsetof(kvm_run, exit_reason), sizeof run.exit_reason));
  world().write(GuestAddress(offsetof(kvm_run, hw)),
                all.subspan(offsetof(kvm_run, hw), sizeof run.padding));
  if (run.exit_reason == KVM_EXIT_IO) world().write_number(GuestAddress(data), wish.value, 8);
}

void KvmExitHarness::kick(std::uint32_t budget) {
  for (std::uint32_t i = 0; i < std::max(budget, 1U); ++i) decode_once();
}

void KvmExitHarness::decode_once() {
  exit_.reset();
  auto decoded = Result<Exit>();
  step([&] { decoded = decode(*page_); }, [&] { model_exit_ = model().decode(); });
  compare_errors(kModelAgreement, "the page", error_of(decoded), model_exit_.error);
  if (!decoded) return count(decoded.error());
  compare(*decoded, model_exit_);
  depth_.count(first_kind_ + decoded->index());
  exit_ = *decoded;
}

void KvmExitHarness::act(const Record& record) {
  if (record.op() == Opcode::kBackend) return host_field(record);
  if (record.op() != Opcode::kAccess || !exit_) return;
  access_data(record);
  answer(record);
}

void KvmExitHarness::access_data(const Record& record) {
  const auto use = [&](const auto& exit) {
    if constexpr (requires { page_->data(exit); }) {
      depth_.count(data_);
      Bytes device, wanted;
      const bool reads = std::is_same_v<decltype(exit), const kvm::IoOut&>;
      const auto slice = page_->data(exit);
      const auto length = record.length == 0 ? slice.size() : record.length % (slice.size() + 1);
      step(
          [&] {
            device.resize(slice.size());
            const auto bytes = pattern(record.value, length);
            if (reads)
              slice.read(0, std::as_writable_bytes(std::span(device)));
            else
              slice.write(0, std::as_bytes(std::span(bytes)));
          },
          [&] {
            if (reads)
              wanted = model().data(model_exit_);
            else
              model().put_data(model_exit_, pattern(record.value, length));
          });
      if (reads && device != wanted)
        violated(kModelAgreement, "the items of a port access are read from another place");
    }
  };
  std::visit(use, *exit_);
}

void KvmExitHarness::answer(const Record& record) {
  const std::uint64_t first = record.value, second = record.length;
  const bool refuses = (record.kind & 1) != 0;
  const auto use = [&](const auto& exit) {
    if constexpr (requires { page_->refuse(exit); }) {
      if (refuses) {
        depth_.count(refusals_);
        return page_->refuse(exit);
      }
    }
    if constexpr (requires { page_->answer(exit, first, second); })
      page_->answer(exit, first, second);
    else if constexpr (requires { page_->answer(exit, first); })
      page_->answer(exit, first);
    else if constexpr (requires { page_->answer(exit); })
      page_->answer(exit);
    else
      return;
    depth_.count(answers_);
  };
  step([&] { std::visit(use, *exit_); },
       [&] {
         const bool msr = model_exit_.kind == "rdmsr" || model_exit_.kind == "wrmsr";
         if (refuses && msr)
           model().refuse(model_exit_);
         else
           model().answer(model_exit_, first, second);
       });
}

void KvmExitHarness::host_field(const Record& record) {
  const auto kind = record.kind % (kHostFields.size() + 2);
  if (kind >= kHostFields.size()) return sync_registers(record, kind == kHostFields.size());
  depth_.count(first_field_ + kind);
  const auto& host = kHostFields[kind];
  const bool truth = host.field.bytes == 1;
  if (host.write != nullptr) {
    const auto value = truth ? std::uint64_t{record.value != 0} : std::uint64_t{record.value};
    step([&] { host.write(*page_, value); },
         [&] { model().put(host.field, pattern(value, host.field.bytes)); });
    return;
  }
  std::uint64_t device = 0, wanted = 0;
  step([&] { device = host.read(*page_); }, [&] { wanted = number_of(model().get(host.field)); });
  if (device != (truth ? std::uint64_t{wanted != 0} : wanted))
    violated(kModelAgreement, "the page's " + std::string(host.name) + " is read as " +
                                  hex(device) + ", by the model as " + hex(wanted));
}

void KvmExitHarness::sync_registers(const Record& record, bool read) {
  depth_.count(read ? sync_out_ : sync_in_);
  kvm_sync_regs registers{};
  const auto field = KvmExitModel::sync_registers();
  const auto bytes = pattern(record.value, field.bytes);
  if (!read) {
    std::memcpy(static_cast<void*>(&registers), bytes.data(), sizeof registers);
    return step([&] { page_->set_sync_registers(registers); }, [&] { model().put(field, bytes); });
  }
  Bytes wanted;
  step([&] { registers = page_->sync_registers(); }, [&] { wanted = model().get(field); });
  // riscv64 has none; the one byte of an empty structure means nothing, and copies leave it out.
  if (std::is_empty_v<kvm_sync_regs>) return;
  if (!std::ranges::equal(std::as_bytes(std::span(&registers, 1)),
                          std::as_bytes(std::span(wanted))))
    violated(kModelAgreement, "the synchronised registers are read as others than the page has");
}

}  // namespace guestproof::testing
