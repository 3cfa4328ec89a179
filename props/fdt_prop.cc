// A device tree that is written is the one that is read back, by a reader of the format that shares
// no code with the writer.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "guestproof/fdt/writer.h"

namespace guestproof::fdt {
namespace {

struct Node {
  std::map<std::string, std::vector<std::byte>> properties;
  std::map<std::string, Node> children;

  friend bool operator==(const Node&, const Node&) = default;
};

Node any_node(int depth) {
  Node node;
  for (auto n = *rc::gen::inRange(0, 4); n > 0; --n)
    node.properties["p" + std::to_string(*rc::gen::inRange(0, 30))] =
        *rc::gen::map(rc::gen::arbitrary<std::vector<std::uint8_t>>(), [](const auto& numbers) {
          std::vector<std::byte> bytes;
          for (const auto number : numbers) bytes.push_back(std::byte{number});
          return bytes;
        });
  if (depth > 0)
    for (auto n = *rc::gen::inRange(0, 4); n > 0; --n)
      node.children["n@" + std::to_string(*rc::gen::inRange(0, 30))] = any_node(depth - 1);
  return node;
}

void write(Writer& tree, const std::string& name, const Node& node) {
  tree.begin(name);
  for (const auto& [property, value] : node.properties) tree.bytes(property, value);
  for (const auto& [child, of] : node.children) write(tree, child, of);
  tree.end();
}

class Reader {
 public:
  explicit Reader(const std::vector<std::byte>& blob) : blob_(blob), at_(number(8)) {}

  Node root() {
    RC_ASSERT(number(0) == 0xd00dfeed);
    RC_ASSERT(number(4) == blob_.size());
    RC_ASSERT(next() == 1u);
    RC_ASSERT(name(at_).empty());
    auto root = node();
    RC_ASSERT(next() == 9u);
    RC_ASSERT(at_ == number(12));
    return root;
  }

 private:
  /// Behind its token.
  Node node() {
    at_ += (name(at_).size() + 4) / 4 * 4;
    Node read;
    while (true) {
      const auto token = next();
      if (token == 2) return read;
      if (token == 1) {
        const auto child = name(at_);
        read.children[child] = node();
        continue;
      }
      RC_ASSERT(token == 3u);
      const auto size = next(), string = next();
      const auto begin = blob_.begin() + static_cast<std::ptrdiff_t>(at_);
      read.properties[name(number(12) + string)].assign(begin, begin + size);
      at_ += (size + 3) / 4 * 4;
    }
  }
  std::uint32_t number(std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8 | std::to_integer<std::uint32_t>(blob_.at(at + i));
    return value;
  }
  std::uint32_t next() { return number(std::exchange(at_, at_ + 4)); }
  std::string name(std::size_t at) {
    std::string text;
    while (blob_.at(at) != std::byte{0}) text.push_back(std::to_integer<char>(blob_[at++]));
    return text;
  }

  const std::vector<std::byte>& blob_;
  std::size_t at_;
};

RC_GTEST_PROP(FlattenedTree, IsReadAsItWasWritten, ()) {
  const auto root = any_node(3);
  Writer tree;
  write(tree, "", root);

  const auto blob = tree.finish().value();

  RC_ASSERT(Reader(blob).root() == root);
}

}  // namespace
}  // namespace guestproof::fdt
