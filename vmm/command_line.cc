#include "vmm/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "vmm/board.h"
#include "vmm/files.h"
#include "vmm/options.h"

namespace guestproof::vmm {
namespace {

using Json = nlohmann::json;

void read_memory(OptionReader& from, Config& config) {
  config.memory_mib = from.number("size_mib", UINT32_MAX).value_or(config.memory_mib);
  config.huge_pages = from.flag("hugepages").value_or(false);
}

void read_vcpu(OptionReader& from, Config& config) {
  const auto number = from.number("num", UINT8_MAX);
  config.vcpus = static_cast<std::uint32_t>(number.value_or(config.vcpus));
}

void read_kernel(OptionReader& from, Config& config) {
  config.kernel.path = from.required_text("path");
  const auto given = from.text("cmdline", OptionReader::Empty::kAllowed);
  config.kernel.cmdline = given.value_or(std::string(kDefaultCmdline));
  config.kernel.load_address = from.number("kernel_load_addr", UINT64_MAX);
}

void read_initrd(OptionReader& from, Config& config) { config.initrd = from.required_text("path"); }

void read_block(OptionReader& from, Config& config) {
  auto& block = config.blocks.emplace_back();
  block.path = from.required_text("path");
  block.read_only = from.flag("readonly").value_or(false);
}

/// Six bytes in hexadecimal, with colons between them; of one interface: the lowest bit of the
/// first is 0, and they are not all 0, which Linux takes for none.
std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac{};
  if (text.size() != 3 * mac.size() - 1) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const auto* digits = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    const bool last = i + 1 == mac.size();
    if (error != std::errc() || end != digits + 2 || (!last && *end != ':')) return std::nullopt;
  }
  if ((mac[0] & 1) != 0 || mac == MacAddress{}) return std::nullopt;
  return mac;
}

void read_net(OptionReader& from, Config& config) {
  auto& net = config.nets.emplace_back();
  net.tap = from.required_text("tap");
  net.create = from.flag("create").value_or(false);
  if (const auto mac = from.text("mac")) {
    net.mac = parse_mac(*mac);
    if (!net.mac)
      from.complain("mac", *mac,
                    "it is not the address of one interface, such as 02:00:00:00:00:01");
  }
  net.pairs = static_cast<std::uint16_t>(from.number("pairs", UINT16_MAX).value_or(1));
}

void read_vsock(OptionReader& from, Config& config) {
  auto& vsock = config.vsocks.emplace_back();
  vsock.path = from.required_text("path");
  vsock.cid = from.number("cid", UINT64_MAX).value_or(vsock.cid);
}

void read_console(OptionReader& from, Config& config) {
  auto& console = config.consoles.emplace_back();
  console.input = from.text("input").value_or("");
  console.output = from.text("output").value_or("");
}

void read_rng(OptionReader& from, Config& config) {
  config.rngs += static_cast<std::uint32_t>(from.number("num", kMaxDevices).value_or(1));
}

void read_balloon(OptionReader& from, Config& config) {
  config.balloons.push_back({from.number("target_mib", UINT32_MAX).value_or(0)});
}

void read_transport(OptionReader& from, Config& config) {
  const auto type = from.required_text("type");
  if (type != "mmio" && type != "pci") from.complain("type", type, "it is neither mmio nor pci");
  config.transport = type == "pci" ? Transport::kPci : Transport::kMmio;
}

struct Description {
  std::string_view name;
  bool repeatable;
  void (*read)(OptionReader& from, Config& config);
  std::string_view help;
};

constexpr std::array kOptions{
    Description{"kernel", false, read_kernel,
                "path=FILE[,cmdline=LINE][,kernel_load_addr=ADDRESS]  required"},
    Description{"initrd", false, read_initrd, "path=FILE  an initial RAM disk"},
    Description{"memory", false, read_memory, "size_mib=N[,hugepages=on]  (256)"},
    Description{"vcpu", false, read_vcpu, "num=N  1 to 32 (1)"},
    Description{"block", true, read_block, "path=FILE[,readonly=on]  a disk; repeatable"},
    Description{
        "net", true, read_net,
        "tap=INTERFACE[,create=on][,mac=ADDRESS][,pairs=N]  a network interface; repeatable"},
    Description{"vsock", true, read_vsock, "path=SOCKET[,cid=N]  sockets to the host (cid 3)"},
    Description{
        "console", true, read_console,
        "input=FILE,output=FILE  a virtio console, one of both may be left out; repeatable"},
    Description{"rng", true, read_rng, "num=N  entropy devices; repeatable"},
    Description{"balloon", true, read_balloon,
                "target_mib=N  memory that the guest is asked to give back"},
    Description{"transport", false, read_transport, "type=mmio|pci  of all virtio devices (mmio)"},
};

constexpr std::string_view kFooter = R"(
A value with a comma is put between double quotes: cmdline="console=ttyS0,115200 root=/dev/vda".
The guest's serial line is standard input and output; at a terminal, Ctrl-A x leaves the machine, and
Ctrl-A Ctrl-A is a Ctrl-A for the guest. SIGTERM, SIGINT and SIGHUP press the power button; another
one, or 60 s, stop the machine, and where it has no button the first one does. A kernel is {0}.
Before its command line stands "{1}"; without cmdline= it is "console=ttyS0".

Examples:
  guestproof-vmm --kernel path=vmlinuz --initrd path=initrd.img --memory size_mib=512
  guestproof-vmm --kernel path=vmlinuz,cmdline="console=ttyS0 root=/dev/vda" --block path=disk.img
  guestproof-vmm --config machine.json --vcpu num=4

Exit codes: 0 the guest powered off; 1 the host failed; 2 wrong usage; 3 a file, an interface or
memory cannot be had; 4 stopped by Ctrl-A x or a signal; 10 the guest asked for a reset; 11 triple
fault; 12 the guest's kernel panicked; 13 an instruction or a state that KVM cannot go on with.
)";

const Description* find_option(std::string_view name) {
  const auto* found = std::ranges::find(kOptions, name, &Description::name);
  return found == kOptions.end() ? nullptr : found;
}

/// A value of the configuration file as the command line would have it.
std::optional<std::string> value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
  return std::nullopt;
}

Outcome<Option> parse_object(std::string_view file, const std::string& name, const Json& object) {
  if (!object.is_object())
    return wrong_usage(fmt::format("{}: '{}' is {}, and not an object with keys.", file, name,
                                   object.type_name()));
  Option option{"--" + name, {}};
  for (const auto& [key, value] : object.items()) {
    const auto text = value_text(value);
    if (!text)
      return wrong_usage(
          fmt::format("{}: {}: the value of '{}', {}, is no string, no whole number "
                      "from 0 on, and neither true nor false.",
                      file, name, key, value.dump()));
    option.values.push_back({key, *text, value.is_string()});
  }
  return option;
}

/// The options of a configuration file. `name` is for complaints.
Outcome<std::vector<Option>> parse_config_file(std::string_view name, std::string_view text) {
  // Of keys that are given twice the parser would keep the last. Values are deepest in an object in
  // an array.
  constexpr int kDeepest = 3;
  std::vector<std::set<std::string>> keys;
  std::string twice;
  bool deep = false;
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    deep |= depth > kDeepest;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return !deep;
  };
  Json root;
  std::optional<std::size_t> read;
  try {
    root = Json::parse(text, look);
  } catch (const Json::parse_error& error) {
    read = error.byte;
  } catch (const Json::out_of_range&) {
    return wrong_usage(fmt::format("{}: there is a number in it that is too large.", name));
  }
  if (deep)
    return wrong_usage(
        fmt::format("{}: there is more in each other than {} levels.", name, kDeepest));
  if (read) {
    const auto line = 1 + std::ranges::count(text.substr(0, *read), '\n');
    return wrong_usage(fmt::format("{}: it is not JSON, on line {} at the latest.", name, line));
  }
  if (!twice.empty()) return wrong_usage(fmt::format("{}: '{}' is given twice.", name, twice));
  if (!root.is_object())
    return wrong_usage(fmt::format("{}: it is {}, and not an object.", name, root.type_name()));
  std::vector<Option> options;
  for (const auto& [key, value] : root.items()) {
    const auto* known = find_option(key);
    if (known == nullptr)
      return wrong_usage(fmt::format("{}: there is no option '{}'.", name, key));
    const bool several = value.is_array() && known->repeatable;
    const std::size_t count = several ? value.size() : 1;
    for (std::size_t i = 0; i < count; ++i) {
      auto option = parse_object(name, key, several ? value[i] : value);
      if (!option) return std::unexpected(option.error());
      options.push_back(std::move(*option));
    }
  }
  return options;
}

/// What the options say together. REQUIRES: there are such options.
Outcome<Config> make_config(std::span<const Option> options) {
  Config config;
  for (const auto& option : options) {
    const auto* known = find_option(std::string_view(option.name).substr(2));
    OptionReader reader(option);
    known->read(reader, config);
    if (const auto read = reader.finish(); !read) return std::unexpected(read.error());
  }
  if (const auto ok = config.check(); !ok) return std::unexpected(ok.error());
  return config;
}

}  // namespace

Outcome<std::variant<Config, HelpText>> parse_command_line(std::span<const std::string> arguments) {
  CLI::App app("Boots a Linux kernel in a virtual machine of KVM.", "guestproof-vmm");
  const auto [formats, before] = kernel_help();
  app.footer(fmt::format(kFooter, formats, before));
  std::string config_file;
  auto* config_option =
      app.add_option("--config", config_file, "FILE.json with the same options and keys");
  std::array<std::vector<std::string>, kOptions.size()> given;
  for (std::size_t i = 0; i < kOptions.size(); ++i) {
    auto* option = app.add_option("--" + std::string(kOptions[i].name), given[i],
                                  std::string(kOptions[i].help));
    option->type_name("")->allow_extra_args(false);
    if (!kOptions[i].repeatable) option->expected(1);
  }
  // CLI11 takes them from the end.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::ParseError& error) {
    return wrong_usage(fmt::format("{}; see --help.", error.what()));
  }

  std::vector<Option> options;
  if (config_option->count() != 0) {
    const auto text = read_text_file("--config", config_file);
    if (!text) return std::unexpected(text.error());
    auto parsed = parse_config_file(config_file, *text);
    if (!parsed) return std::unexpected(parsed.error());
    options = std::move(*parsed);
  }
  for (std::size_t i = 0; i < kOptions.size(); ++i) {
    const auto name = "--" + std::string(kOptions[i].name);
    if (!given[i].empty())
      std::erase_if(options, [&](const Option& each) { return each.name == name; });
    for (const auto& text : given[i]) {
      auto option = parse_option(name, text);
      if (!option) return std::unexpected(option.error());
      options.push_back(std::move(*option));
    }
  }
  const auto config = make_config(options);
  if (!config) return std::unexpected(config.error());
  return *config;
}

}  // namespace guestproof::vmm
