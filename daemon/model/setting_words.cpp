// SPDX-License-Identifier: Apache-2.0
#include "model/setting_words.hpp"

namespace things {

std::string_view word_of(Level level) {
    switch (level) {
    case Level::source:
        return "source";
    case Level::device:
        return "device";
    case Level::point:
        return "point";
    }
    return "";
}

std::string_view word_of(SettingType type) {
    switch (type) {
    case SettingType::boolean:
        return "true or false";
    case SettingType::integer:
        return "whole number";
    case SettingType::number:
        return "number";
    case SettingType::text:
        return "text";
    case SettingType::duration:
        return "duration";
    case SettingType::choice:
        return "choice";
    case SettingType::list:
        return "list";
    case SettingType::map:
        return "map";
    }
    return "";
}

} // namespace things
