&[
    (
        "errors/unknown.option*",
        &[],
        When::Always,
        "what does not exist ends the fake with 64 and its own words, so that no test passes by accident",
    ),
    (
        "errors/not-played.array",
        &[],
        When::Always,
        "arrays are not played: status 64",
    ),
    (
        "errors/not-played.json",
        &[],
        When::Always,
        "`--json` is not played: status 64",
    ),
    (
        "errors/unknown.cancel.several",
        &[],
        When::Sometimes,
        "scancel asks for several jobs at once, and the answers come in any order",
    ),
    (
        "life/running.shown",
        &[],
        When::Always,
        "`scontrol show job` names the session and from 26.05 on the line that submitted the job; the fake knows neither",
    ),
]
