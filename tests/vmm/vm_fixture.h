// A whole machine whose kernel is a few instructions.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "scratch.h"
#include "vmm/vm.h"

namespace guestproof::vmm {

class VmFixture : public ::testing::Test {
 protected:
  VmFixture() { config.memory_mib = 64; }

  void set_kernel(const std::vector<std::uint8_t>& image) {
    config.kernel.path = scratch.file(
        "kernel", std::string_view(reinterpret_cast<const char*>(image.data()), image.size()));
  }
  std::unique_ptr<Vm> create() {
    auto vm = Vm::create(config);
    EXPECT_TRUE(vm) << vm.error().sentence;
    return vm ? std::move(*vm) : nullptr;
  }
  End run() {
    const auto vm = create();
    return vm ? vm->run() : End{};
  }

  Scratch scratch;
  Config config;
};

}  // namespace guestproof::vmm
