"""What the tests of option files share: changed options, and the report on them."""

from copy import deepcopy

import yaml

from vmambair_arch.option_files import check, yaml_lines


def report(opt: dict, *, is_train: bool = True) -> check.OptionReport:
    file = yaml_lines.parse(yaml.safe_dump(opt, sort_keys=False), "f.yml")
    return check.check(file, is_train=is_train)


def change(opt: dict, keys: str, value) -> dict:
    """The options with one of them changed; ``...`` removes it."""
    opt = deepcopy(opt)
    *parents, last = keys.split(".")
    section = opt
    for parent in parents:
        section = section[parent]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return opt
