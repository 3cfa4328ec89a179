// What the loaders leave behind, and what the vCPU that boots is given, is what a processor can
// start from: a few instructions are loaded as a kernel, entered by both protocols, and reload
// their segments from the descriptors in memory.
#include <variant>

#include "guestproof/loader/boot_params.h"
#include "guestproof/loader/bzimage.h"
#include "guestproof/loader/elf.h"
#include "guestproof/loader/pvh.h"
#include "guestproof/loader/x86_boot.h"
#include "guestproof/testing/model/kernel_images.h"
#include "kvm/guest.h"
#include "vmm/x86_64/vcpu.h"

namespace guestproof::vmm::x86_64 {
namespace {

using kvm::value_of;
namespace images = guestproof::testing;
using Image = std::vector<std::uint8_t>;
using Code = std::initializer_list<std::uint8_t>;

constexpr std::uint64_t kMemory = 4 << 20;

void put_code(Image& file, std::size_t offset, Code code) {
  std::copy(code.begin(), code.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::span<const std::byte> bytes_of(const Image& file) { return std::as_bytes(std::span(file)); }

class BootKvm : public ::testing::Test {
 protected:
  BootKvm() { EXPECT_OK(vm.map(memory)); }

  /// Descriptors and page tables into memory, registers into the vCPU.
  void enter(const loader::LoadedKernel& kernel) {
    const auto state = loader::x86::boot_state(kernel);
    ASSERT_OK(loader::x86::load(memory, state));
    ASSERT_OK(set_boot_state(vcpu, state));
  }
  /// The number that the guest writes next, to port 0x10.
  std::uint64_t next_number() {
    const auto exit = value_of(vcpu.run());
    const auto* out = std::get_if<kvm::IoOut>(&exit);
    EXPECT_NE(out, nullptr) << "exit " << exit.index();
    if (out == nullptr) return 0;
    EXPECT_EQ(out->port, 0x10);
    return vcpu.page().data(*out).load<std::uint32_t>(0);
  }

  MappedMemory memory = MappedMemory::Builder().anonymous(GuestAddress(0), kMemory).build().value();
  kvm::Kvm kvm = value_of(kvm::Kvm::open());
  kvm::Vm vm = value_of(kvm.create_vm());
  kvm::Vcpu vcpu = value_of(vm.create_vcpu(0));
};

TEST_F(BootKvm, A64BitEntryRunsInLongModeAndFindsTheZeroPage) {
  auto file = images::bzimage_image::make();
  put_code(file, images::bzimage_image::kKernel + loader::BzImage::kEntryOffset,
           {
               0x0f, 0xb7, 0x86, 0xfe, 0x01, 0x00, 0x00,  // movzx eax, word [rsi+0x1fe]
               0xe7, 0x10,                                // out 0x10, eax
               0xb8, 0x18, 0x00, 0x00, 0x00,              // mov eax, 0x18
               0x8e, 0xd8, 0x8e, 0xd0,                    // mov ds, eax; mov ss, eax
               0x6a, 0x10,                                // push 0x10
               0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00,  // lea rax, [rip+3]
               0x50, 0x48, 0xcb,                          // push rax; retfq
               0x48, 0xb8, 1,    2,    3,    4,    0x78, 0x56, 0x34, 0x12,  // mov rax, ...
               0x48, 0xc1, 0xe8, 0x20,                                      // shr rax, 32
               0xe7, 0x10,                                                  // out 0x10, eax
               0x8b, 0x04, 0x25, 0xfc, 0xff, 0xff, 0x7f,                    // mov eax, [0x7ffffffc]
               0xf4,                                                        // hlt
           });
  const auto image = loader::BzImage::parse(bytes_of(file)).value();
  const auto kernel = value_of(loader::load(memory, image, GuestAddress(0x200000)));
  ASSERT_OK(loader::load(memory, loader::LinuxBoot{.header = image.header(),
                                                   .kernel = GuestAddress(0x200000),
                                                   .cmdline = {},
                                                   .initrd = {},
                                                   .rsdp = {},
                                                   .memory = {}}));

  enter(kernel);

  EXPECT_EQ(next_number(), 0xaa55u);
  EXPECT_EQ(next_number(), 0x12345678u);
  const auto exit = value_of(vcpu.run());
  ASSERT_TRUE(std::holds_alternative<kvm::MmioRead>(exit)) << "exit " << exit.index();
  EXPECT_EQ(std::get<kvm::MmioRead>(exit).address, 0x7fff'fffcu);
}

TEST_F(BootKvm, APvhEntryRunsInProtectedModeAndFindsItsStartInfo) {
  auto file = images::elf_image::make();
  put_code(file, images::elf_image::kSecondBytes + 0x20,
           {
               0x8b, 0x03,                                // mov eax, [ebx]
               0xe7, 0x10,                                // out 0x10, eax
               0xb8, 0x18, 0x00, 0x00, 0x00,              // mov eax, 0x18
               0x8e, 0xd8, 0x8e, 0xd0,                    // mov ds, eax; mov ss, eax
               0xea, 0x34, 0x10, 0x10, 0x00, 0x10, 0x00,  // jmp 0x10:0x101034
               0x40, 0x90,                                // inc eax (a prefix in long mode); nop
               0xe7, 0x10,                                // out 0x10, eax
               0xf4,                                      // hlt
           });
  const auto image = loader::ElfImage::parse(bytes_of(file)).value();
  const auto kernel = value_of(loader::load(memory, image, loader::KernelProtocol::kPvh));
  ASSERT_OK(
      loader::load(memory, loader::PvhBoot{.cmdline = {}, .initrd = {}, .rsdp = {}, .memory = {}}));

  enter(kernel);

  EXPECT_EQ(next_number(), 0x336ec578u);
  EXPECT_EQ(next_number(), 0x19u);
}

}  // namespace
}  // namespace guestproof::vmm::x86_64
