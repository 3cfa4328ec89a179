#include <gtest/gtest.h>

#include "guestproof/kvm/kvm.h"
#include "print.h"

namespace guestproof::kvm {
namespace {

TEST(HostKvm, MakesAMachineWithAVcpu) {
  const auto kvm = Kvm::open();
  ASSERT_TRUE(kvm) << testing::PrintToString(kvm.error());
  const auto vm = kvm->create_vm();
  ASSERT_TRUE(vm) << testing::PrintToString(vm.error());
  const auto vcpu = vm->create_vcpu(0);
  ASSERT_TRUE(vcpu) << testing::PrintToString(vcpu.error());
}

}  // namespace
}  // namespace guestproof::kvm
