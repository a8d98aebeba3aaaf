#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_schema.py SCHEMA WRONG-FOLDER RIGHT...: the schema is one, takes the right files and refuses wrong ones.

A schema cannot see everything (names that must match, files that must be there); every wrong file that it must refuse
is one whose mistake is a key, a type, a choice or a range. Needs python3-yaml and python3-jsonschema.
"""
import json
import pathlib
import sys

import jsonschema
import yaml

SEEN = ['unknown_section', 'unknown_key', 'section_is_text', 'section_is_null', 'far_key', 'duration_without_unit',
        'duration_in_words', 'duration_negative', 'integer_is_text', 'integer_too_large', 'size_unknown_unit',
        'boolean_is_text', 'boolean_in_quotes', 'choice_unknown', 'choice_near', 'include_is_map', 'sources_is_list',
        'source_is_text', 'source_no_plugin', 'plugin_unknown', 'source_unknown_key', 'source_key_type',
        'source_key_range', 'source_key_choice', 'source_key_list', 'source_key_duration', 'source_device_key',
        'devices_is_map', 'device_is_text', 'device_no_name', 'device_no_uuid', 'device_no_secret',
        'device_unknown_key', 'device_source_key', 'commands_choice', 'points_is_map', 'point_is_text',
        'point_no_name', 'address_range', 'address_text', 'point_unknown_key', 'point_far_key', 'point_type',
        'point_order', 'report_is_text', 'report_unknown_key', 'labels_is_list', 'writable_word', 'writable_allowed',
        'revert_no_to', 'profiles_is_list', 'profile_no_plugin', 'profile_unknown_key', 'profile_bad_point',
        'profile_bad_device', 'csv_and_more']


class Loader(yaml.SafeLoader):
    """YAML as editors read it: on, off, yes and no are text, keys of labels are text."""


Loader.yaml_implicit_resolvers = {key: [item for item in value if item[0] != 'tag:yaml.org,2002:bool' or key in 'tTfF']
                                  for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def as_json(value):
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def errors_of(validator, file):
    return [error.message for error in validator.iter_errors(as_json(yaml.load(file.read_text(), Loader)))]


def main():
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    failures = 0
    for name in sys.argv[3:]:
        for message in errors_of(validator, pathlib.Path(name)):
            print(f'{name}: refused: {message[:300]}')
            failures += 1
    for name in SEEN:
        if not errors_of(validator, pathlib.Path(sys.argv[2]) / f'{name}.yaml'):
            print(f'{name}.yaml: not refused')
            failures += 1
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
