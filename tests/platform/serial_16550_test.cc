#include "guestproof/platform/serial_16550.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace guestproof::platform {
namespace {

enum : std::uint64_t { kData, kIer, kIir, kLcr, kMcr, kLsr, kMsr, kScr, kFcr = kIir };

class NotingHost : public SerialHost {
 public:
  void sent(std::byte byte) override { output.push_back(std::to_integer<char>(byte)); }
  void room() override { ++rooms; }
  std::string output;
  int rooms = 0;
};

class Serial16550Test : public ::testing::Test {
 protected:
  std::size_t enqueue(std::string_view text) {
    return port.enqueue(std::as_bytes(std::span(text)));
  }
  std::string receive_all() {
    std::string text;
    while ((registers[kLsr] & 1) != 0) text.push_back(static_cast<char>(registers[kData]));
    return text;
  }
  void set(std::uint64_t offset, std::uint64_t value) {
    ASSERT_TRUE(registers.write(offset, value));
  }

  NotingHost host;
  NotingLine line;
  Serial16550 port{host, line};
  Registers<1> registers{port};
};

TEST_F(Serial16550Test, IsA16550AToLinuxsProbe) {
  // autoconfig() and autoconfig_16550a() of drivers/tty/serial/8250/8250_port.c, step by step.
  set(kIer, 0);
  EXPECT_EQ(registers[kIer], 0u);
  set(kIer, 0xff);
  EXPECT_EQ(registers[kIer], 0x0fu);
  set(kIer, 0);
  set(kMcr, 0x1a);  // loopback with RTS and OUT2
  EXPECT_EQ(registers[kMsr] & 0xf0, 0x90u);
  set(kMcr, 0);
  set(kLcr, 0xbf);
  set(kFcr, 0);
  set(kLcr, 0);
  set(kFcr, 1);
  EXPECT_EQ(registers[kIir] >> 6, 3u);
  set(kLcr, 0x80);
  EXPECT_NE(registers[kIir], 0u);  // no 16650
  set(kLcr, 0);
  set(kFcr, 0x21);
  const auto long_fifo = registers[kIir] >> 5;
  set(kFcr, 1);
  set(kLcr, 0x80);
  set(kFcr, 0x21);
  EXPECT_EQ(registers[kIir] >> 5, long_fifo);  // no 16750
  set(kLcr, 0);
  set(kIer, 0x40);
  EXPECT_EQ(registers[kIer], 0u);  // no XScale
}

TEST_F(Serial16550Test, ScratchAndLineControlAndDivisorAreKept) {
  set(kScr, 0xa5);
  set(kLcr, 0x83);
  set(kData, 0x34);
  set(kIer, 0x12);
  EXPECT_EQ(registers[kData], 0x34u);
  EXPECT_EQ(registers[kIer], 0x12u);
  EXPECT_EQ(registers[kLcr], 0x83u);
  set(kLcr, 3);
  EXPECT_EQ(registers[kIer], 0u);
  EXPECT_EQ(registers[kScr], 0xa5u);
  EXPECT_EQ(host.output, "");
}

TEST_F(Serial16550Test, SendsAtOnce) {
  set(kData, 'h');
  set(kData, 'i');
  EXPECT_EQ(host.output, "hi");
  EXPECT_EQ(registers[kLsr], 0x60u);
}

TEST_F(Serial16550Test, InterruptsForAnEmptyTransmitter) {
  set(kIer, 2);
  EXPECT_EQ(line.take(), "h");
  EXPECT_EQ(registers[kIir], 0x02u);
  EXPECT_EQ(line.take(), "l");
  EXPECT_EQ(registers[kIir], 0x01u);
  set(kData, 'x');
  EXPECT_EQ(line.take(), "h");
  set(kIer, 0);
  EXPECT_EQ(line.take(), "l");
  EXPECT_EQ(registers[kIir], 0x01u);
  // Linux's test for UARTs that do not do this again (UART_BUG_THRE).
  set(kIer, 2);
  EXPECT_EQ(registers[kIir], 0x02u);
  set(kIer, 2);
  EXPECT_EQ(registers[kIir], 0x01u);
}

// A guest that answers the interrupt by the next byte, and does not ask which one it was, waited
// for ever where its interrupt controller looks at edges.
TEST_F(Serial16550Test, EachByteIsAnEdgeOfTheLine) {
  set(kIer, 2);
  EXPECT_EQ(line.take(), "h");
  set(kData, 'a');
  EXPECT_EQ(line.take(), "lh");
  set(kData, 'b');
  EXPECT_EQ(line.take(), "lh");
  // Input keeps the line high.
  set(kIer, 3);
  EXPECT_EQ(enqueue("x"), 1u);
  set(kData, 'c');
  EXPECT_EQ(line.take(), "");
  EXPECT_EQ(host.output, "abc");
}

TEST_F(Serial16550Test, WithoutFifosHoldsOneByte) {
  EXPECT_EQ(port.input_space(), 1u);
  EXPECT_EQ(enqueue("ab"), 1u);
  EXPECT_EQ(enqueue("b"), 0u);
  EXPECT_EQ(host.rooms, 0);
  EXPECT_EQ(registers[kData], static_cast<std::uint64_t>('a'));
  EXPECT_EQ(host.rooms, 1);
  EXPECT_EQ(registers[kData], 0u);
  EXPECT_EQ(host.rooms, 1);
}

TEST_F(Serial16550Test, InputThatOverflowsTheFifoIsNotLost) {
  // A reference machine monitor dropped what did not fit.
  set(kFcr, 1);
  std::string input, got;
  for (int i = 0; i < 6 * 16; ++i) input.push_back(static_cast<char>('0' + i % 10));
  std::string_view rest = input;
  while (got.size() < input.size()) {
    const auto rooms = host.rooms;
    rest.remove_prefix(enqueue(rest));
    EXPECT_EQ(port.input_space(), 0u);
    got += receive_all();
    EXPECT_EQ(host.rooms, rooms + 1);
  }
  EXPECT_EQ(got, input);
}

TEST_F(Serial16550Test, InputBelowTheTriggerLevelIsATimeout) {
  set(kIer, 1);
  set(kFcr, 0x81);  // 8 bytes
  EXPECT_EQ(enqueue("1234567"), 7u);
  EXPECT_EQ(line.take(), "h");
  EXPECT_EQ(registers[kIir], 0xccu);
  EXPECT_EQ(enqueue("8"), 1u);
  EXPECT_EQ(registers[kIir], 0xc4u);
  EXPECT_EQ(receive_all(), "12345678");
  EXPECT_EQ(line.take(), "l");
  EXPECT_EQ(registers[kIir], 0xc1u);
}

TEST_F(Serial16550Test, EveryTriggerLevel) {
  set(kIer, 1);
  for (const auto& [fcr, level] : {std::pair{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}}) {
    set(kFcr, static_cast<unsigned>(fcr) | 2);
    EXPECT_EQ(enqueue(std::string(static_cast<std::size_t>(level - 1), 'x')),
              static_cast<std::size_t>(level - 1));
    EXPECT_EQ(registers[kIir], level == 1 ? 0xc1u : 0xccu);
    EXPECT_EQ(enqueue("x"), 1u);
    EXPECT_EQ(registers[kIir], 0xc4u);
  }
}

TEST_F(Serial16550Test, ClearedFifosHaveRoomAgain) {
  set(kFcr, 1);
  EXPECT_EQ(enqueue("0123456789abcdefg"), 16u);
  set(kFcr, 1);
  EXPECT_EQ(port.input_space(), 0u);
  set(kFcr, 3);
  EXPECT_EQ(port.input_space(), 16u);
  EXPECT_EQ(host.rooms, 1);
  EXPECT_EQ(enqueue("xy"), 2u);
  set(kFcr, 2);  // turned off
  EXPECT_EQ(port.input_space(), 1u);
  EXPECT_EQ(registers[kLsr], 0x60u);
  EXPECT_EQ(registers[kIir], 0x01u);
  EXPECT_EQ(enqueue("z"), 1u);
  set(kFcr, 2);  // no bit counts while they are off
  EXPECT_EQ(registers[kLsr], 0x61u);
}

TEST_F(Serial16550Test, LoopbackGoesIntoTheReceiver) {
  set(kFcr, 1);
  set(kIer, 0x05);
  set(kMcr, 0x10);
  EXPECT_EQ(port.input_space(), 0u);
  EXPECT_EQ(enqueue("no"), 0u);
  for (char c = 'a'; c <= 'q'; ++c) set(kData, static_cast<unsigned char>(c));
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(registers[kIir], 0xc6u);  // the 17th did not fit
  EXPECT_EQ(registers[kLsr], 0x63u);
  EXPECT_EQ(registers[kLsr], 0x61u);
  EXPECT_EQ(registers[kIir], 0xc4u);
  set(kMcr, 0);
  EXPECT_EQ(host.rooms, 0);
  EXPECT_EQ(receive_all(), "abcdefghijklmnop");
  EXPECT_EQ(host.rooms, 1);
}

TEST_F(Serial16550Test, WithoutFifosTheLastByteOverruns) {
  set(kMcr, 0x10);
  set(kData, 'a');
  set(kData, 'b');
  EXPECT_EQ(registers[kLsr], 0x63u);
  EXPECT_EQ(registers[kData], static_cast<std::uint64_t>('b'));
}

TEST_F(Serial16550Test, ModemLinesFollowTheirOutputsInLoopback) {
  EXPECT_EQ(registers[kMsr], 0xb0u);
  set(kIer, 8);
  set(kMcr, 0x1f);
  EXPECT_EQ(line.take(), "");  // RI has begun, which is no change that counts
  EXPECT_EQ(registers[kMsr], 0xf0u);
  set(kMcr, 0x10);
  EXPECT_EQ(line.take(), "h");
  EXPECT_EQ(registers[kIir], 0x00u);
  EXPECT_EQ(registers[kMsr], 0x0fu);
  EXPECT_EQ(line.take(), "l");
  set(kMcr, 0xff);
  EXPECT_EQ(registers[kMcr], 0x1fu);
  EXPECT_EQ(registers[kMsr], 0xfbu);
  set(kMcr, 0x11);
  EXPECT_EQ(registers[kMsr], 0x2du);
  set(kMcr, 0);
  EXPECT_EQ(registers[kMsr], 0xb9u);
}

TEST_F(Serial16550Test, InterruptsHavePriorities) {
  set(kFcr, 1);
  set(kMcr, 0x1f);
  set(kMcr, 0x10);
  for (int i = 0; i < 17; ++i) set(kData, 'x');
  set(kIer, 0x0f);

  EXPECT_EQ(registers[kIir], 0xc6u);
  EXPECT_EQ(registers[kIir], 0xc6u);
  EXPECT_EQ(registers[kLsr], 0x63u);
  EXPECT_EQ(registers[kIir], 0xc4u);
  EXPECT_EQ(receive_all().size(), 16u);
  EXPECT_EQ(registers[kIir], 0xc2u);
  EXPECT_EQ(registers[kIir], 0xc0u);
  EXPECT_EQ(registers[kMsr] & 0x0f, 0x0fu);
  EXPECT_EQ(registers[kIir], 0xc1u);
  EXPECT_EQ(line.take(), "hl");
}

TEST_F(Serial16550Test, OtherAccessesAreRefused) {
  EXPECT_EQ(registers.read(kLsr, 2), (Answer{0xffff, Error(PlatformError::kWidth, 2, 1)}));
  EXPECT_EQ(registers.read(8), (Answer{0xff, Error(PlatformError::kOffset, 8, 8)}));
  EXPECT_EQ(registers.write(kData, 'x', 4).error(), Error(PlatformError::kWidth, 4, 1));
  EXPECT_EQ(registers.write(UINT64_MAX, 0).error(), Error(PlatformError::kOffset, UINT64_MAX, 8));
  EXPECT_EQ(registers.write(kLsr, 0).error(), Error(PlatformError::kReadOnly, kLsr));
  EXPECT_EQ(registers.write(kMsr, 0).error(), Error(PlatformError::kReadOnly, kMsr));
  EXPECT_EQ(host.output, "");
}

TEST_F(Serial16550Test, StateComesBackWhole) {
  set(kLcr, 0x83);
  set(kData, 0x01);
  set(kIer, 0x02);
  set(kLcr, 0x1b);
  set(kFcr, 0x89);
  set(kScr, 0x77);
  set(kMcr, 0x1f);
  set(kMcr, 0x0b);
  set(kIer, 0x0b);
  EXPECT_EQ(enqueue("rest"), 4u);
  const auto saved = port.encode();
  EXPECT_EQ(saved.size(), 36u);

  NotingHost other_host;
  NotingLine other_line;
  Serial16550 other(other_host, other_line);
  const auto state = Serial16550::decode(saved);
  ASSERT_TRUE(state) << state.error().message();
  other.restore(*state);

  EXPECT_EQ(other.encode(), saved);
  EXPECT_EQ(other_line.take(), "h");
  EXPECT_EQ(other.input_space(), 12u);
  Registers<1> again(other);
  EXPECT_EQ(again[kIir], 0xccu);
  EXPECT_EQ(again[kData], static_cast<std::uint64_t>('r'));
  EXPECT_EQ(again[kLcr], 0x1bu);
  EXPECT_EQ(again[kMsr], 0xb4u);
}

TEST_F(Serial16550Test, ResetIsAsBuiltAndMakesRoom) {
  const auto fresh = port.encode();
  set(kIer, 1);
  EXPECT_EQ(enqueue("x"), 1u);
  line.take();
  port.reset();
  EXPECT_EQ(port.encode(), fresh);
  EXPECT_EQ(line.take(), "l");
  EXPECT_EQ(host.rooms, 1);
}

TEST_F(Serial16550Test, StateThatCannotBeIsRefusedByField) {
  using enum PlatformStateError;
  const auto saved = port.encode();
  const auto refusal = [&](std::size_t at, unsigned value) {
    return Serial16550::decode(patched(saved, at, value)).error();
  };
  EXPECT_EQ(Serial16550::decode({}).error(), Error(kBytes, 0, 36));
  EXPECT_EQ(refusal(0, 'X'), Error(kMagic, 0x45535058, 0x45535047));
  EXPECT_EQ(refusal(4, 2), Error(kVersion, 2, 1));
  EXPECT_EQ(refusal(6, 35), Error(kLength, 35, 36));
  EXPECT_EQ(refusal(8, 0x10), Error(kInterruptEnable, 0x10, 0x0f));
  EXPECT_EQ(refusal(9, 0x03), Error(kFifoControl, 0x03, 0xc9));
  EXPECT_EQ(refusal(9, 0x40), Error(kFifoControl, 0x40, 0xc9));
  EXPECT_EQ(refusal(11, 0x20), Error(kModemControl, 0x20, 0x1f));
  EXPECT_EQ(refusal(13, 0x03), Error(kLineErrors, 0x03, 0x02));
  EXPECT_EQ(refusal(14, 0x10), Error(kModemChanges, 0x10, 0x0f));
  EXPECT_EQ(refusal(15, 2), Error(kTransmitterEmpty, 2, 1));
  EXPECT_EQ(refusal(18, 2), Error(kReceived, 2, 1));
  EXPECT_EQ(refusal(19, 1), Error(kReserved, 1, 19));
  EXPECT_EQ(refusal(20, 1), Error(kReserved, 1, 20));
  EXPECT_EQ(refusal(35, 7), Error(kReserved, 7, 35));
  EXPECT_EQ(Serial16550::decode(patched(patched(saved, 9, 1), 18, 17)).error(),
            Error(kReceived, 17, 16));
  EXPECT_TRUE(Serial16550::decode(patched(patched(saved, 9, 1), 18, 16)));
}

}  // namespace
}  // namespace guestproof::platform
