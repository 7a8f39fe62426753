"""The market structures that come with mechdsl, one a module; they stand where any third party's would."""
