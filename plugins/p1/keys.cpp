// SPDX-License-Identifier: Apache-2.0
#include "p1/keys.hpp"

#include "p1/object_line.hpp"
#include "p1/object_names.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace things {

namespace {

constexpr double hour_ms = 3'600'000;

const std::array keys{
    make_key(THINGS_SOURCE, "port", THINGS_TYPE_TEXT, "",
             "Serial port of the P1 cable; a path below /dev/serial/by-id stays the same when cables are "
             "plugged around."),
    make_key(THINGS_SOURCE, "baud", THINGS_TYPE_CHOICE, "auto",
             "Speed: 115200 for DSMR 4 and later, 9600 before; auto tries both, 12 s each.", {}, "baud", 0,
             "auto 300 600 1200 2400 4800 9600 19200 38400 57600 115200"),
    make_key(THINGS_SOURCE, "frame", THINGS_TYPE_CHOICE, "auto",
             "Data bits, parity and stop bits; auto: 8N1 at 115200, 7E1 at 9600.", {}, "", 0,
             "auto 8N1 7E1 7O1 8E1 8O1 7N1"),
    make_key(
        THINGS_SOURCE, "host", THINGS_TYPE_TEXT, "",
        "Name or address of a serial server (ser2net) that the meter is connected to, instead of a port."),
    make_key(THINGS_SOURCE, "tcp_port", THINGS_TYPE_INT, "2000", "TCP port of the serial server.",
             {1, 65535}),
    make_key(
        THINGS_SOURCE, "mode", THINGS_TYPE_CHOICE, "p1",
        "p1: the meter sends by itself. mode_c: IEC 62056-21, the meter is asked through an optical head.",
        {}, "", 0, "p1 mode_c"),
    make_key(THINGS_SOURCE, "crc", THINGS_TYPE_CHOICE, "auto",
             "Checksum: arc as the standards say, x25 for some Holley meters; auto finds out; none: not "
             "looked at.",
             {}, "", 0, "auto arc x25 none"),
    make_key(
        THINGS_SOURCE, "key", THINGS_TYPE_TEXT, "",
        "Encryption key of the meter (Luxembourg, Austria): 32 hexadecimal digits, from the grid operator.",
        {}, "", THINGS_SECRET),
    make_key(
        THINGS_SOURCE, "aad", THINGS_TYPE_TEXT, "",
        "Authentication key (32 digits), or the whole additional data (34 digits); left out: Luxembourg's.",
        {}, "", THINGS_SECRET),
    make_key(THINGS_SOURCE, "clock", THINGS_TYPE_CHOICE, "gateway",
             "gateway: electricity values carry the time of arrival, and a meter clock that is far off is "
             "put right. "
             "meter: the meter's clock is believed whatever it says.",
             {}, "", 0, "gateway meter"),
    make_key(THINGS_SOURCE, "time_zone", THINGS_TYPE_CHOICE, "cet",
             "Normal time of the meter: cet for the Netherlands, Belgium, Luxembourg and Sweden.", {}, "", 0,
             "wet cet eet"),
    make_key(THINGS_SOURCE, "alarm_after", THINGS_TYPE_DURATION, "60s",
             "An alarm is raised when no good telegram came for so long.", {15'000, 24 * hour_ms}, "s"),
    make_key(THINGS_SOURCE, "address", THINGS_TYPE_TEXT, "",
             "mode_c: address of the meter, if several share the line."),
    make_key(THINGS_SOURCE, "wake_up", THINGS_TYPE_BOOL, "false",
             "mode_c: send a wake-up string first, for battery meters."),
    make_key(THINGS_SOURCE, "max_baud", THINGS_TYPE_INT, "9600",
             "mode_c: switch to no higher speed than this, for optical heads that cannot follow.",
             {300, 19200}, "baud"),
    make_key(THINGS_SOURCE, "timeout", THINGS_TYPE_DURATION, "3s",
             "mode_c: how long to wait for an answer, and between two characters.", {200, 30'000}, "s"),
    make_key(THINGS_POINT, "obis", THINGS_TYPE_TEXT, "",
             "OBIS code, such as 1-0:1.7.0, or 0-n:24.2.1 for any channel.", {}, "", 0, "", "where"),
    make_key(THINGS_POINT, "value", THINGS_TYPE_TEXT, "",
             "Name of the value instead of its code, such as power, volumeGas, powerFailure; see the "
             "plugin's README.",
             {}, "", 0, "", "where"),
    make_key(THINGS_POINT, "medium", THINGS_TYPE_CHOICE, "",
             "The reading of the M-Bus meter of this medium, whatever its channel.", {}, "", 0,
             "gas water heat cold electricity", "where"),
    make_key(THINGS_POINT, "channel", THINGS_TYPE_INT, "",
             "M-Bus channel, where two meters of one medium are connected.", {1, 4}),
};

class Reader {
public:
    Reader(const PluginHost& host, bool& is_good) : host_(host), is_good_(is_good) {}

    void complain(things_level level, std::uint32_t index, const char* key, const std::string& message) {
        host_.problem(level, index, key, message);
        is_good_ = false;
    }
    P1Options options(const PluginSettings& settings);
    P1Point point(const things_point& point, std::uint32_t index);

private:
    void check(const PluginSettings& settings, P1Options& options);
    void check_name(const std::string& name, std::uint32_t index);
    void check_unit(P1Point& point, std::uint32_t index);

    const PluginHost& host_;
    bool& is_good_;
};

P1Options Reader::options(const PluginSettings& settings) {
    P1Options options;
    options.port = settings.text("port");
    options.host = settings.text("host");
    options.tcp_port = static_cast<std::uint16_t>(settings.integer("tcp_port", 2000));
    options.is_mode_c = settings.text("mode") == "mode_c";
    if (std::string baud = settings.text("baud", "auto"); baud != "auto") {
        int value = 0;
        std::from_chars(baud.data(), baud.data() + baud.size(), value);
        options.baud = value;
    }
    if (std::string frame = settings.text("frame", "auto"); frame != "auto")
        options.frame = frame;
    options.address = settings.text("address");
    options.wake_up = settings.boolean("wake_up", false);
    options.max_baud = static_cast<int>(settings.integer("max_baud", 9600));
    std::string crc = settings.text("crc", "auto");
    options.rules.crc = crc == "arc"    ? CrcKind::arc
                        : crc == "x25"  ? CrcKind::x25
                        : crc == "none" ? CrcKind::none
                                        : CrcKind::automatic;
    options.is_meter_clock = settings.text("clock") == "meter";
    std::string zone = settings.text("time_zone", "cet");
    options.rules.clock.standard_offset_minutes = zone == "wet" ? 0 : zone == "eet" ? 120 : 60;
    options.alarm_after = settings.duration("alarm_after", options.alarm_after);
    options.timeout = settings.duration("timeout", options.timeout);
    check(settings, options);
    return options;
}

void Reader::check(const PluginSettings& settings, P1Options& options) {
    if (options.port.empty() == options.host.empty())
        complain(THINGS_SOURCE, 0, "port", "give either port (a P1 cable) or host (a serial server)");
    if (settings.has("key") || settings.has("aad")) {
        options.keys = MeterKeys::parse(settings.text("key"), settings.text("aad"));
        if (!options.keys)
            complain(THINGS_SOURCE, 0, "key",
                     "key must be 32 hexadecimal digits, and aad, if given, 32 or 34; neither is shown here");
        if (options.is_mode_c)
            complain(THINGS_SOURCE, 0, "key", "mode_c has no encryption; leave key and aad out");
    }
    bool is_plain = options.address.size() <= 32;
    for (char c : options.address)
        is_plain = is_plain && c > ' ' && c < 0x7f && c != '!' && c != '/' && c != '?';
    if (!is_plain)
        complain(THINGS_SOURCE, 0, "address", "an address has at most 32 letters and digits, without / ? !");
}

P1Point Reader::point(const things_point& point, std::uint32_t index) {
    PluginSettings settings(point);
    P1Point result;
    result.name = point.name;
    result.unit = point.unit;
    result.interval_ms = point.interval_ms;
    result.selection.name = settings.text("value");
    result.selection.medium = settings.text("medium");
    result.selection.channel = static_cast<int>(settings.integer("channel", 0));
    if (settings.has("obis")) {
        std::optional<ObisCode> code = parse_obis(settings.text("obis"));
        if (code && !code->is_billing)
            result.selection.obis = code->text;
        else
            complain(THINGS_POINT, index, "obis",
                     fmt::format("\"{}\" is no OBIS code; they look like 1-0:1.7.0", settings.text("obis")));
    }
    const Selection& selection = result.selection;
    int given = !selection.obis.empty() + !selection.name.empty() + !selection.medium.empty();
    if (given != 1 && !settings.has("obis"))
        complain(THINGS_POINT, index, "obis",
                 "give one of obis, value and medium: which value of the meter it is");
    check_name(selection.name, index);
    if (point.writable != 0)
        complain(THINGS_POINT, index, "", "a meter cannot be written; leave writable out");
    check_unit(result, index);
    return result;
}

void Reader::check_name(const std::string& name, std::uint32_t index) {
    bool is_known = name.empty() || find_known_name(name) != nullptr || find_mbus_name(name) != nullptr ||
                    is_derived_name(name) || name == "apparentPowerLimit" || name == "currentLimit";
    if (!is_known)
        complain(
            THINGS_POINT, index, "value",
            fmt::format("\"{}\" is no value of a meter; the names are listed in the plugin's README", name));
}

/// The unit that is wanted must be of the kind that the standards print for this value.
void Reader::check_unit(P1Point& point, std::uint32_t index) {
    if (point.unit.empty())
        return;
    point.wanted = find_scale(point.unit);
    std::string_view printed;
    if (const KnownObject* object = find_known_object(point.selection.obis); object != nullptr)
        printed = object->unit;
    else if (const KnownObject* named = find_known_name(point.selection.name); named != nullptr)
        printed = named->unit;
    const MbusMedium* mbus = find_mbus_medium(point.selection.medium);
    if (mbus == nullptr && printed.empty())
        mbus = find_mbus_name(point.selection.name);
    if (mbus != nullptr && (point.selection.name.empty() || point.selection.name == mbus->reading))
        printed = mbus->unit;
    const UnitScale* scale = find_scale(printed);
    if (scale == nullptr || point.selection.name.find("Limit") != std::string::npos)
        return;
    if (point.wanted == nullptr || point.wanted->primary != scale->primary)
        complain(THINGS_POINT, index, "",
                 fmt::format("the meter prints this value in {}, which cannot be converted to {}", printed,
                             point.unit));
}

} // namespace

const std::vector<const things_key*>& p1_keys() {
    static const std::vector<const things_key*> list = [] {
        std::vector<const things_key*> all;
        all.reserve(std::size(keys));
        for (const things_key& key : keys)
            all.push_back(&key);
        return all;
    }();
    return list;
}

std::string P1Options::where() const {
    return port.empty() ? fmt::format("{}:{}", host, tcp_port) : port;
}

P1Options read_p1_options(const PluginHost& host, const things_source_config& config, bool& is_good) {
    return Reader(host, is_good).options(PluginSettings(config));
}

std::vector<P1Point> read_p1_points(const PluginHost& host, const things_source_config& config,
                                    bool& is_good) {
    std::vector<P1Point> points;
    Reader reader(host, is_good);
    for (std::uint32_t i = 0; i < config.point_count; ++i)
        points.push_back(reader.point(*config.points[i], i));
    return points;
}

} // namespace things
