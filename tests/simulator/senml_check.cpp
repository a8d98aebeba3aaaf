// SPDX-License-Identifier: Apache-2.0
#include "simulator/senml_check.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>

namespace things::simulator {
namespace {

using nlohmann::json;

// RFC 8428 section 12.1, RFC 8798 sections 2 and 3, and the later entries of IANA's registry.
const std::unordered_set<std::string_view>& units() {
    static const std::unordered_set<std::string_view> all = {
        "m",        "kg",    "g",    "s",     "A",    "K",     "cd",     "mol",   "Hz",   "rad",   "sr",
        "N",        "Pa",    "J",    "W",     "C",    "V",     "F",      "Ohm",   "S",    "Wb",    "T",
        "H",        "Cel",   "lm",   "lx",    "Bq",   "Gy",    "Sv",     "kat",   "m2",   "m3",    "l",
        "m/s",      "m/s2",  "m3/s", "l/s",   "W/m2", "cd/m2", "bit",    "bit/s", "lat",  "lon",   "pH",
        "dB",       "dBW",   "Bspl", "count", "/",    "%",     "%RH",    "%EL",   "EL",   "1/s",   "1/min",
        "beat/min", "beats", "S/m",  "B",     "VA",   "VAs",   "var",    "vars",  "J/m",  "kg/m3", "deg",
        "NTU",      "ms",    "min",  "h",     "MHz",  "kW",    "kVA",    "kvar",  "Ah",   "Wh",    "kWh",
        "varh",     "kvarh", "kVAh", "Wh/km", "KiB",  "GB",    "Mbit/s", "B/s",   "MB/s", "mV",    "mA",
        "dBm",      "ug/m3", "mm/h", "m/h",   "ppm",  "/100",  "/1000",  "hPa",   "mm",   "cm",    "km",
        "km/h",     "ppb",   "ppt",  "VAh",   "mg/l", "ug/l",  "g/l",
    };
    return all;
}

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view name) {
    constexpr std::string_view others = "-:./_";
    return !name.empty() && is_alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [others](char c) { return is_alphanumeric(c) || others.find(c) != others.npos; });
}

bool is_base64url(std::string_view text) {
    return text.size() % 4 != 1 && std::all_of(text.begin(), text.end(), [](char c) {
               return is_alphanumeric(c) || c == '-' || c == '_';
           });
}

bool has_white_space(std::string_view body) {
    bool in_string = false;
    for (std::size_t i = 0; i < body.size(); ++i) {
        const char c = body[i];
        if (in_string && c == '\\')
            ++i;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ' ' || c == '\n' || c == '\r' || c == '\t'))
            return true;
    }
    return false;
}

enum Label { bn, bt, bu, bv, bs, bver, n, u, v, vs, vb, vd, s, t, ut, label_count };
constexpr std::array<std::string_view, label_count> labels = {"bn", "bt", "bu", "bv", "bs", "bver", "n", "u",
                                                              "v",  "vs", "vb", "vd", "s",  "t",    "ut"};
enum class Kind { text, number, boolean };

Kind kind_of(Label label) {
    switch (label) {
    case bn:
    case bu:
    case n:
    case u:
    case vs:
    case vd:
        return Kind::text;
    case vb:
        return Kind::boolean;
    default:
        return Kind::number;
    }
}

bool is_base(Label label) {
    return label <= bver;
}

bool is_documented_by_kpn(Label label) {
    return label == bn || label == bt || label == n || label == u || label == t ||
           (label >= v && label <= vd);
}

struct Record {
    std::array<bool, label_count> has{};
    std::array<double, label_count> number{};
    std::array<std::string, label_count> text;
    bool boolean = false;

    void clear() {
        has.fill(false);
        number.fill(0);
    }
};

// Receives the parser's events; each returns false to stop, after refuse() has kept the reason.
class Reader {
public:
    Reader(double now, const Rules& rules, Checked& out) : now_(now), rules_(rules), out_(out) {}

    bool null() { return refuse_here("null is not a value"); }
    bool boolean(bool value) {
        if (!expect(Kind::boolean, "boolean"))
            return false;
        record_.boolean = value;
        return true;
    }
    bool number_integer(std::int64_t value) { return number(static_cast<double>(value)); }
    bool number_unsigned(std::uint64_t value) { return number(static_cast<double>(value)); }
    bool number_float(double value, const std::string& digits) {
        if (digits.find('E') != digits.npos)
            return refuse_here("the exponent is written with E instead of e");
        return number(value);
    }
    bool string(std::string& value) {
        if (!expect(Kind::text, "string"))
            return false;
        if (label_ == bn && records_ == 1)
            out_.pack.base_name = value;
        record_.text[label_] = std::move(value);
        return true;
    }
    bool binary(json::binary_t&) { return refuse("binary"); }
    bool start_array(std::size_t) {
        if (depth_ != 0)
            return refuse_here("an array inside a record");
        ++depth_;
        return true;
    }
    bool end_array() {
        --depth_;
        return records_ > 0 || refuse("the pack is empty");
    }
    bool start_object(std::size_t) {
        if (depth_ != 1)
            return refuse_here("an object inside a record");
        ++depth_;
        ++records_;
        record_.clear();
        return true;
    }
    bool key(std::string& name) {
        const auto found = std::find(labels.begin(), labels.end(), name);
        if (found == labels.end()) {
            if (!name.empty() && name.back() == '_')
                return refuse_at("label " + name + " must be understood, and is not");
            return refuse_at("unknown label " + name.substr(0, 40));
        }
        label_ = static_cast<Label>(found - labels.begin());
        if (record_.has[label_])
            return refuse_at("label " + name + " twice");
        if (rules_.dialect == Dialect::kpn && !is_documented_by_kpn(label_))
            return refuse_at("label " + name + " is outside the subset that KPN documents");
        if (rules_.dialect == Dialect::kpn && is_base(label_) && records_ > 1)
            return refuse_at("base field " + name + " after the first record");
        record_.has[label_] = true;
        return true;
    }
    bool end_object() {
        --depth_;
        return finish();
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
        // 406: a number beyond the range of a double.
        return refuse((error.id == 406 ? "a number that is not finite, at byte " : "not JSON at byte ") +
                      std::to_string(position));
    }

private:
    bool refuse(std::string why) {
        if (!out_.refusal)
            out_.refusal = std::move(why);
        return false;
    }
    bool refuse_at(const std::string& why) {
        return refuse("record " + std::to_string(records_) + ": " + why);
    }
    bool refuse_here(const std::string& why) {
        if (depth_ < 1)
            return refuse("the body is not an array");
        if (depth_ < 2)
            return refuse("something that is not a record in the pack");
        return refuse_at(std::string(labels[label_]) + ": " + why);
    }
    bool expect(Kind kind, const char* name) {
        if (depth_ < 2)
            return refuse_here({});
        return kind_of(label_) == kind || refuse_here(std::string("is a ") + name);
    }
    bool number(double value) {
        if (!expect(Kind::number, "number"))
            return false;
        if (!std::isfinite(value))
            return refuse_here("is not finite");
        record_.number[label_] = value;
        return true;
    }

    bool take_base() {
        if (record_.has[bn]) {
            if (!base_name_.empty() && base_name_ != record_.text[bn])
                return refuse_at("a second base name");
            base_name_ = record_.text[bn];
        }
        if (records_ == 1 && base_name_.empty())
            return refuse_at("no base name");
        if (record_.has[bt]) {
            base_time_ = record_.number[bt];
            has_base_time_ = true;
        }
        if (record_.has[bu])
            base_unit_ = record_.text[bu];
        if (record_.has[bv])
            base_value_ = record_.number[bv];
        if (record_.has[bver] &&
            (record_.number[bver] != std::floor(record_.number[bver]) || record_.number[bver] < 1 ||
             (record_.number[bver] > 10 && record_.number[bver] != 26)))
            return refuse_at("version " + std::to_string(record_.number[bver]) + " is not understood");
        return true;
    }

    bool finish() {
        if (!take_base())
            return false;
        const int values = record_.has[v] + record_.has[vs] + record_.has[vb] + record_.has[vd];
        const bool is_base_only =
            values == 0 && !record_.has[n] && !record_.has[u] && !record_.has[t] && !record_.has[s];
        if (is_base_only && records_ == 1)
            return true; // the style KPN's page shows
        if (values > 1)
            return refuse_at("more than one value");
        if (values == 0 && !record_.has[s])
            return refuse_at("no value");
        Accepted reading;
        if (!resolve_name(reading) || !resolve_time(reading) || !resolve_value(reading))
            return false;
        if (!seen_.insert(reading.name + '\0' + std::to_string(reading.time)).second)
            return refuse_at("name " + reading.name + " twice at the same time");
        out_.pack.readings.push_back(std::move(reading));
        return true;
    }

    bool resolve_name(Accepted& reading) {
        if (rules_.dialect == Dialect::kpn && (!record_.has[n] || record_.text[n].empty()))
            return refuse_at("no name");
        reading.name = record_.has[n] ? record_.text[n] : "";
        if (!is_name(base_name_ + reading.name))
            return refuse_at("name " + reading.name.substr(0, 60) +
                             " has characters that SenML does not allow");
        reading.unit = record_.has[u] ? record_.text[u] : base_unit_;
        const bool has_unit = record_.has[u] || !base_unit_.empty();
        return !has_unit || is_unit(reading.unit) ||
               refuse_at("unit " + reading.unit.substr(0, 20) + " is not registered");
    }

    bool resolve_time(Accepted& reading) {
        constexpr double relative_below = 268435456; // 2^28, RFC 8428 section 4.5.3
        const double time = base_time_ + (record_.has[t] ? record_.number[t] : 0);
        if (time >= relative_below) {
            reading.time = time;
        } else if (has_base_time_ && time != 0) {
            return refuse_at("time " + std::to_string(time) + " lies in 1970: a clock that was never set");
        } else {
            reading.time = now_ + time;
        }
        if (reading.time > 1e11)
            return refuse_at("time " + std::to_string(reading.time) + " looks like milliseconds");
        if (reading.time < rules_.oldest)
            return refuse_at("time " + std::to_string(reading.time) + " is too long ago");
        if (reading.time > now_ + rules_.ahead)
            return refuse_at("time " + std::to_string(reading.time) + " lies in the future");
        return true;
    }

    bool resolve_value(Accepted& reading) {
        if (record_.has[vs]) {
            reading.value = record_.text[vs];
        } else if (record_.has[vb]) {
            reading.value = record_.boolean;
        } else if (record_.has[vd]) {
            if (!is_base64url(record_.text[vd]))
                return refuse_at("vd is not base64url without padding");
            reading.value = record_.text[vd];
            reading.is_data = true;
        } else {
            const double value = base_value_ + (record_.has[v] ? record_.number[v] : 0);
            if (!std::isfinite(value))
                return refuse_at("bv and v add up to infinity");
            reading.value = value;
        }
        return true;
    }

    double now_;
    const Rules& rules_;
    Checked& out_;
    int depth_ = 0;
    std::size_t records_ = 0;
    Label label_ = bn;
    Record record_;
    std::string base_name_;
    std::string base_unit_;
    double base_time_ = 0;
    double base_value_ = 0;
    bool has_base_time_ = false;
    std::unordered_set<std::string> seen_; // name and resolved time
};

} // namespace

bool is_unit(std::string_view unit) {
    return units().count(unit) != 0;
}

Checked check_senml(std::string_view body, double now, const Rules& rules) {
    Checked result;
    Reader reader(now, rules, result);
    const bool is_good = json::sax_parse(body.begin(), body.end(), &reader);
    if (!is_good && !result.refusal)
        result.refusal = "not JSON";
    if (is_good && result.pack.readings.empty())
        result.refusal = "no reading in the pack";
    result.pack.has_white_space = has_white_space(body);
    return result;
}

} // namespace things::simulator
